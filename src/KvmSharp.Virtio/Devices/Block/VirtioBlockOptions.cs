namespace KvmSharp.Virtio.Devices.Block;

/// <summary>How a <see cref="VirtioBlock"/> shows itself to the guest.</summary>
public sealed record VirtioBlockOptions
{
    /// <summary>Most request queues of one device.</summary>
    public const int QueueLimit = 256;

    public const ushort MinQueueSize = 4, MaxQueueSize = 1024;

    /// <summary>Names the device in logs and counters.</summary>
    public string Name { get; init; } = "virtio-blk";

    /// <summary>At most 20 bytes of UTF-8; the guest sees it as the disk's serial number.</summary>
    public string Serial { get; init; } = "";

    /// <summary>Request queues, 1 to <see cref="QueueLimit"/>.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Largest queue size, a power of two from <see cref="MinQueueSize"/> to <see cref="MaxQueueSize"/>.</summary>
    public ushort QueueSize { get; init; } = 256;

    /// <summary>How often the host is asked whether the disk has another size, in nanoseconds; 0: only by <see cref="VirtioBlock.CheckCapacity"/>.</summary>
    public long CapacityCheckNs { get; init; } = 1_000_000_000;
}
