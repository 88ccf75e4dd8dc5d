using KvmSharp.Core.Buses;

namespace KvmSharp.Virtio.Transport;

/// <summary>The notification registers, for kicks that no doorbell takes. The address says which queue; the data adds nothing we need.</summary>
internal sealed class VirtioPciNotify(VirtioTransportCore core, uint multiplier) : IMmioDevice
{
    public BusStatus Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        return BusStatus.Ok;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset % multiplier != 0)
            return BusStatus.Unaligned;
        core.Kick((uint)(offset / multiplier));
        return BusStatus.Ok;
    }
}
