namespace KvmSharp.Core.Memory;

/// <summary>How guest RAM is obtained from the host.</summary>
public sealed record GuestMemoryOptions
{
    /// <summary>Bytes of guest RAM; a multiple of 4096 and at least one page.</summary>
    public required ulong SizeBytes { get; init; }

    /// <summary>Back RAM with hugetlb pages (MFD_HUGETLB); the host must have reserved them.</summary>
    public bool HugePages { get; init; }

    /// <summary>Allocate all of RAM before the guest starts (MADV_POPULATE_WRITE).</summary>
    public bool Preallocate { get; init; }

    /// <summary>mlock(2) all of RAM.</summary>
    public bool Lock { get; init; }

    /// <summary>Offer RAM to kernel same-page merging (MADV_MERGEABLE); RAM is then private to this process. Not with huge pages.</summary>
    public bool Mergeable { get; init; }

    /// <summary>Bind RAM to this NUMA node (mbind MPOL_BIND); null leaves the host's policy.</summary>
    public int? NumaNode { get; init; }

    /// <summary>The file to use again, which stays its owner's; null: a new one. Not for mergeable memory.</summary>
    public GuestMemoryFile? File { get; init; }
}
