namespace KvmSharp.Backends.Block;

/// <summary>What a block back end can do; fixed while it is open, except the capacity.</summary>
public sealed record BlockLimits
{
    /// <summary>Smallest addressable unit the guest should see, in bytes.</summary>
    public uint LogicalBlockSize { get; init; } = 512;

    /// <summary>Unit below which a write costs a read, in bytes; a power of two multiple of <see cref="LogicalBlockSize"/>.</summary>
    public uint PhysicalBlockSize { get; init; } = 512;

    /// <summary>Most segments that are transferred at once; more are split by the engine.</summary>
    public int MaxSegments { get; init; } = 1024;

    public bool ReadOnly { get; init; }

    /// <summary>
    /// True: completed writes may be lost on power failure until a flush (writeback, none, unsafe). False: every write is stable
    /// when it completes (writethrough, directsync) without the caller asking for it.
    /// </summary>
    public bool WriteCache { get; init; } = true;

    public bool SupportsDiscard { get; init; }

    public bool SupportsWriteZeroes { get; init; }

    /// <summary>Longest discard or write zeroes request, in bytes.</summary>
    public ulong MaxRangeBytes { get; init; } = 1UL << 30;

    /// <summary>Discards should start and end on multiples of this, in bytes.</summary>
    public uint DiscardAlignment { get; init; } = 512;
}
