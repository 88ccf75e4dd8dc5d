using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit.Block;

/// <summary>A disk in an array. Requests take effect at Submit and are reported by Reap, in order.</summary>
public sealed class MemoryBlockBackend(int sizeBytes) : IBlockBackend
{
    private byte[] _data = new byte[sizeBytes];
    private bool _resized;

    public Span<byte> Data => _data;

    public ulong CapacityBytes { get; private set; } = (ulong)sizeBytes;

    public BlockLimits Limits { get; init; } = new() { SupportsDiscard = true, SupportsWriteZeroes = true, PhysicalBlockSize = 4096 };

    /// <summary>Flushes that reached the disk.</summary>
    public int Flushes { get; private set; }

    public int Discards { get; private set; }

    /// <summary>Writes and zeroes with <see cref="BlockRequestFlags.Fua"/>.</summary>
    public int FuaWrites { get; private set; }

    public int WriteZeroes { get; private set; }

    /// <summary>Flags of the last write zeroes.</summary>
    public BlockRequestFlags LastFlags { get; private set; }

    /// <summary>Seen by the next <see cref="RefreshCapacity"/>.</summary>
    public void Resize(int newSizeBytes)
    {
        Array.Resize(ref _data, newSizeBytes);
        _resized = true;
    }

    public bool RefreshCapacity()
    {
        bool changed = _resized;
        _resized = false;
        CapacityBytes = (ulong)_data.Length;
        return changed;
    }

    public IBlockIo OpenIo(int depth, IBlockCompletion sink) => new Io(this, depth, sink);

    public void Dispose()
    {
    }

    private unsafe int Execute(in BlockRequest request)
    {
        LastFlags = request.Flags;
        if ((request.Flags & BlockRequestFlags.Fua) != 0)
            FuaWrites++;
        switch (request.Operation)
        {
            case BlockOperation.Flush:
                Flushes++;
                return 0;
            case BlockOperation.Discard:
                Discards++;
                return 0;
        }

        if (request.OffsetBytes > CapacityBytes || request.LengthBytes > CapacityBytes - request.OffsetBytes)
            return -LibcConstants.EINVAL;
        Span<byte> range = _data.AsSpan((int)request.OffsetBytes, (int)request.LengthBytes);
        if (request.Operation == BlockOperation.WriteZeroes)
        {
            WriteZeroes++;
            range.Clear();
            return 0;
        }

        int done = 0;
        for (int i = 0; i < request.SegmentCount; i++)
        {
            Span<byte> segment = request.Segments[i].Span;
            if (request.Operation == BlockOperation.Read)
                range.Slice(done, segment.Length).CopyTo(segment);
            else
                segment.CopyTo(range.Slice(done, segment.Length));
            done += segment.Length;
        }

        return done;
    }

    private sealed class Io(MemoryBlockBackend disk, int depth, IBlockCompletion sink) : IBlockIo
    {
        private readonly Queue<BlockRequest> _enqueued = new(depth);
        private readonly Queue<(uint Tag, int Result)> _done = new(depth);
        private bool _events = true;

        public EventFd Completion { get; } = new();

        public int InFlight => _enqueued.Count + _done.Count;

        public bool HasCompletions => _done.Count > 0;

        public bool CompletesAtOnce => false;

        public void SetCompletionEvents(bool enabled) => _events = enabled;

        public bool TryEnqueue(in BlockRequest request)
        {
            if (InFlight >= depth)
                return false;
            _enqueued.Enqueue(request);
            return true;
        }

        public void Submit()
        {
            while (_enqueued.TryDequeue(out BlockRequest request))
                _done.Enqueue((request.Tag, disk.Execute(request)));
            if (_done.Count > 0 && _events)
                Completion.Signal();
        }

        public int Reap()
        {
            int count = 0;
            for (; _done.TryDequeue(out (uint Tag, int Result) item); count++)
                sink.OnCompleted(item.Tag, item.Result);
            return count;
        }

        public void Drain()
        {
            while (InFlight > 0)
            {
                Submit();
                Reap();
            }
        }

        public void Dispose() => Completion.Dispose();
    }
}
