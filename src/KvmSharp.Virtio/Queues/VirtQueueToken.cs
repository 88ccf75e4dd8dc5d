namespace KvmSharp.Virtio.Queues;

/// <summary>Names a popped chain until it is pushed. A copy is as good as the original; pushing twice is a bug of the device.</summary>
/// <param name="Id">Head index (split) or buffer id (packed): the driver's choice and not necessarily unique.</param>
/// <param name="DescriptorCount">Entries of the ring the chain occupies.</param>
public readonly record struct VirtQueueToken(ushort Id, ushort DescriptorCount)
{
    /// <summary>Below the queue's size and unique among the chains in flight, whatever the driver does: the index for per-request arrays.</summary>
    public ushort Slot { get; internal init; }
}
