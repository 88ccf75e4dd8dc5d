using KvmSharp.Core.Buses;

namespace KvmSharp.Virtio.Transport;

/// <summary>The ISR status register (virtio 1.2 §4.1.4.5).</summary>
internal sealed class VirtioPciIsr(VirtioPciVectors vectors) : IMmioDevice
{
    public BusStatus Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        if (offset == 0)
            data[0] = vectors.TakeIsr();
        return BusStatus.Ok;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => BusStatus.Ok;
}
