namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>How much entropy a guest may draw.</summary>
public sealed record VirtioRngOptions
{
    public string Name { get; init; } = "virtio-rng";

    /// <summary>Bytes per <see cref="PeriodMs"/>; 0: no limit.</summary>
    public ulong MaxBytes { get; init; }

    public int PeriodMs { get; init; } = 1000;

    public IEntropySource Source { get; init; } = new HostEntropySource();
}
