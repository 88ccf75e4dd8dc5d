namespace KvmSharp.Bench.Paths;

/// <summary>What <c>bench paths</c> runs.</summary>
public sealed record PathOptions
{
    /// <summary>Boots per side.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Milliseconds of each workload that are not counted.</summary>
    public int WarmupMs { get; init; } = 100;

    /// <summary>Milliseconds of each workload that are.</summary>
    public int MeasureMs { get; init; } = 500;

    /// <summary>The disk, whose contents are overwritten; null: one that is made and removed.</summary>
    public string? Disk { get; init; }

    /// <summary>The tap; null: one that is made and removed.</summary>
    public string? Tap { get; init; }

    public bool WithDisk { get; init; } = true;

    public bool WithNet { get; init; } = true;

    /// <summary>The other side; null: none.</summary>
    public QemuPeer? Peer { get; init; }

    public string KvmDevice { get; init; } = "/dev/kvm";
}

/// <summary>QEMU as the other side.</summary>
/// <param name="Accelerator"><c>kvm</c> or <c>tcg</c>.</param>
public sealed record QemuPeer(string Program = "qemu-system-x86_64", string Accelerator = "kvm");
