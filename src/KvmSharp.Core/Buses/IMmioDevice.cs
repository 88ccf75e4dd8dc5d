namespace KvmSharp.Core.Buses;

/// <summary>A device on the memory-mapped I/O bus. Called on vCPU threads, under the bus entry's lock, one access at a time.</summary>
public interface IMmioDevice
{
    /// <param name="offset">Bytes from the start of the claimed range.</param>
    /// <param name="data">1 to 8 bytes to fill, wholly inside the range; little-endian.</param>
    BusStatus Read(ulong offset, Span<byte> data);

    BusStatus Write(ulong offset, ReadOnlySpan<byte> data);
}
