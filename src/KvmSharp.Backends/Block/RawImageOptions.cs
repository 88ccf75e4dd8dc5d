using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Block;

/// <summary>How a <see cref="RawImage"/> is opened.</summary>
public sealed record RawImageOptions
{
    /// <summary>A regular file or a block device.</summary>
    public required string Path { get; init; }

    public bool ReadOnly { get; init; }

    public BlockCacheMode Cache { get; init; } = BlockCacheMode.Writeback;

    public BlockEngine Engine { get; init; } = BlockEngine.Auto;

    /// <summary>Most threads of one engine when threads are used.</summary>
    public int MaxThreads { get; init; } = 8;

    /// <summary>Pass discards to the host; off, they succeed without effect.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>Take an OFD lock, so that nobody else writes what we use. Off only where something else takes care of that.</summary>
    public bool Lock { get; init; } = true;

    /// <summary>
    /// Guest memory to register (and so to pin as a whole) with io_uring: pays with direct I/O and preallocated memory. Left out
    /// silently where the host refuses.
    /// </summary>
    public GuestMemory? RegisteredMemory { get; init; }
}
