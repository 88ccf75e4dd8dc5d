using KvmSharp.Bench.Paths;

namespace KvmSharp.Bench.Guest;

/// <summary>What <c>bench guest</c> runs.</summary>
public sealed record GuestOptions
{
    /// <summary>A Linux kernel that finds the drivers of the chosen paths in itself or in <see cref="Initrd"/>.</summary>
    public required string Kernel { get; init; }

    /// <summary>An initramfs whose script prints marks and results as <see cref="LinuxSession"/> reads them.</summary>
    public required string Initrd { get; init; }

    /// <summary>Boots per side and path.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>Of each workload, after a first one that does not count.</summary>
    public int Seconds { get; init; } = 3;

    /// <summary>In the order in which they run.</summary>
    public IReadOnlyList<GuestPath> Paths { get; init; } = GuestPath.All;

    /// <summary>The disk, which is only read; null: one that is made and removed.</summary>
    public string? Disk { get; init; }

    /// <summary>The other side; null: none.</summary>
    public QemuPeer? Peer { get; init; }

    public string KvmDevice { get; init; } = "/dev/kvm";
}
