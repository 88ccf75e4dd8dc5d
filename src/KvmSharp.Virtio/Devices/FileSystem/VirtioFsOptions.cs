namespace KvmSharp.Virtio.Devices.FileSystem;

/// <summary>How a <see cref="VhostUserFs"/> shows itself to the guest.</summary>
public sealed record VirtioFsOptions
{
    public const ushort MinQueueSize = 16, MaxQueueSize = 1024;

    /// <summary>Most request queues.</summary>
    public const int QueueLimit = 64;

    /// <summary>Bytes of a tag (virtio 1.2 §5.11.4).</summary>
    public const int MaxTagBytes = 36;

    /// <summary>Names the device in logs and counters.</summary>
    public string Name { get; init; } = "virtio-fs";

    /// <summary>By which the guest mounts it; 1 to <see cref="MaxTagBytes"/> bytes of UTF-8.</summary>
    public required string Tag { get; init; }

    /// <summary>Request queues, from 1 to <see cref="QueueLimit"/>.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Largest size of each queue, a power of two from <see cref="MinQueueSize"/> to <see cref="MaxQueueSize"/>.</summary>
    public ushort QueueSize { get; init; } = 128;
}
