using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Block;

/// <summary>
/// One request to a disk. <see cref="OffsetBytes"/> and <see cref="LengthBytes"/> are multiples of 512 inside the capacity (the
/// caller checks what the guest sent; an engine answers anything else with -EINVAL).
/// </summary>
public readonly unsafe struct BlockRequest
{
    public BlockOperation Operation { get; init; }

    public BlockRequestFlags Flags { get; init; }

    /// <summary>Comes back with the completion; unique among the caller's requests in flight.</summary>
    public uint Tag { get; init; }

    public ulong OffsetBytes { get; init; }

    /// <summary>For reads and writes the sum of the segments, at most 2 GiB - 1; 0 for a flush.</summary>
    public ulong LengthBytes { get; init; }

    /// <summary>Memory of a read or write. The array and what it points to stay as they are until the completion; engines do not change the array.</summary>
    public IoVec* Segments { get; init; }

    public int SegmentCount { get; init; }
}
