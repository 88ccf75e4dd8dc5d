using System.Runtime.InteropServices;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Tests.Block;

/// <summary>One engine with its completions recorded by tag.</summary>
internal sealed unsafe class BlockHarness : IBlockCompletion, IDisposable
{
    private readonly List<nint> _arrays = [];
    private uint _nextTag = 1;

    public BlockHarness(IBlockBackend disk, int depth = 8) => Io = disk.OpenIo(depth, this);

    public IBlockIo Io { get; }

    public Dictionary<uint, int> Results { get; } = [];

    public void OnCompleted(uint tag, int result) => Results.Add(tag, result);

    /// <summary>Runs one request to its end; its result.</summary>
    public int Run(BlockOperation operation, ulong offset, ulong length, BlockRequestFlags flags = BlockRequestFlags.None, params IoVec[] segments)
    {
        uint tag = Enqueue(operation, offset, length, flags, segments);
        Io.Drain();
        return Results[tag];
    }

    public int Write(ulong offset, params IoVec[] segments) => Run(BlockOperation.Write, offset, Sum(segments), BlockRequestFlags.None, segments);

    public int Read(ulong offset, params IoVec[] segments) => Run(BlockOperation.Read, offset, Sum(segments), BlockRequestFlags.None, segments);

    /// <summary>The request's tag, or 0 when the engine is full.</summary>
    public uint Enqueue(BlockOperation operation, ulong offset, ulong length, BlockRequestFlags flags, params IoVec[] segments)
    {
        IoVec* array = (IoVec*)NativeMemory.Alloc((nuint)Math.Max(1, segments.Length), (nuint)sizeof(IoVec));
        _arrays.Add((nint)array);
        segments.CopyTo(new Span<IoVec>(array, segments.Length));
        BlockRequest request = new()
        {
            Operation = operation, Flags = flags, Tag = _nextTag, OffsetBytes = offset, LengthBytes = length, Segments = array,
            SegmentCount = segments.Length,
        };
        return Io.TryEnqueue(request) ? _nextTag++ : 0;
    }

    public void Dispose()
    {
        Io.Dispose();
        _arrays.ForEach(array => NativeMemory.Free((void*)array));
    }

    private static ulong Sum(IoVec[] segments) => (ulong)segments.Sum(segment => (long)segment.Length);
}
