namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>How the entropy device shows itself, and how much a guest may draw.</summary>
public sealed record VirtioRngOptions
{
    public const ushort MinQueueSize = 2, MaxQueueSize = 1024;

    public string Name { get; init; } = "virtio-rng";

    /// <summary>Largest size of the queue, a power of two from <see cref="MinQueueSize"/> to <see cref="MaxQueueSize"/>.</summary>
    public ushort QueueSize { get; init; } = 64;

    /// <summary>Bytes per <see cref="PeriodMs"/>; 0: no limit.</summary>
    public ulong MaxBytes { get; init; }

    public int PeriodMs { get; init; } = 1000;

    public IEntropySource Source { get; init; } = new HostEntropySource();
}
