using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Config;

/// <summary>Guest RAM and how the host provides it.</summary>
public sealed record MemoryConfig
{
    /// <summary>Whole pages of 4 KiB; whole 2 MiB with <see cref="HugePages"/>.</summary>
    public ulong SizeBytes { get; init; } = 512UL << 20;

    public bool HugePages { get; init; }

    public bool Preallocate { get; init; }

    public bool Lock { get; init; }

    public bool Mergeable { get; init; }

    public int? NumaNode { get; init; }

    public GuestMemoryOptions ToOptions() => new()
    {
        SizeBytes = SizeBytes,
        HugePages = HugePages,
        Preallocate = Preallocate,
        Lock = Lock,
        Mergeable = Mergeable,
        NumaNode = NumaNode,
    };
}
