namespace KvmSharp.Core.Buses;

/// <summary>A device on the port I/O bus. Called on vCPU threads, under the bus entry's lock, one access at a time.</summary>
public interface IPioDevice
{
    /// <param name="offset">Port relative to the start of the claimed range.</param>
    /// <param name="data">1, 2 or 4 bytes to fill, wholly inside the range.</param>
    BusStatus In(ushort offset, Span<byte> data);

    BusStatus Out(ushort offset, ReadOnlySpan<byte> data);
}
