namespace KvmSharp.Core.Events;

/// <summary>
/// Posts from any thread to one loop: a bounded ring of sequenced cells (many producers, one consumer, no locks, no allocation),
/// with a locked list behind it for the case that the ring is full. Order holds within the ring only.
/// </summary>
internal sealed class PostRing
{
    private const int Capacity = 1024;

    private readonly Cell[] _cells = new Cell[Capacity];
    private readonly Lock _overflowGate = new();
    private readonly Queue<(IEventSink Sink, uint Cookie)> _overflow = new();
    private int _overflowCount;
    private long _head;
    private long _tail;

    public PostRing()
    {
        for (int i = 0; i < Capacity; i++)
            _cells[i].Sequence = i;
    }

    /// <summary>Posts waiting right now, those still being written included. Any thread; a hint.</summary>
    public int Count => (int)(Volatile.Read(ref _tail) - Volatile.Read(ref _head)) + Volatile.Read(ref _overflowCount);

    /// <summary>Any thread. Never fails.</summary>
    public void Enqueue(IEventSink sink, uint cookie)
    {
        while (true)
        {
            long position = Volatile.Read(ref _tail);
            ref Cell cell = ref _cells[position & (Capacity - 1)];
            long lag = Volatile.Read(ref cell.Sequence) - position;
            if (lag == 0)
            {
                if (Interlocked.CompareExchange(ref _tail, position + 1, position) != position)
                    continue;
                cell.Sink = sink;
                cell.Cookie = cookie;
                // Publishes the cell: pairs with the read of Sequence in TryDequeue.
                Volatile.Write(ref cell.Sequence, position + 1);
                return;
            }

            if (lag < 0)
            {
                EnqueueOverflow(sink, cookie);
                return;
            }
        }
    }

    /// <summary>Loop thread only. False also when the oldest post is still being written; its writer will wake the loop.</summary>
    public bool TryDequeue(out IEventSink? sink, out uint cookie)
    {
        ref Cell cell = ref _cells[_head & (Capacity - 1)];
        if (Volatile.Read(ref cell.Sequence) == _head + 1)
        {
            sink = cell.Sink;
            cookie = cell.Cookie;
            cell.Sink = null;
            Volatile.Write(ref cell.Sequence, _head + Capacity);
            Volatile.Write(ref _head, _head + 1);
            return true;
        }

        return TryDequeueOverflow(out sink, out cookie);
    }

    private void EnqueueOverflow(IEventSink sink, uint cookie)
    {
        lock (_overflowGate)
        {
            _overflow.Enqueue((sink, cookie));
            Volatile.Write(ref _overflowCount, _overflow.Count);
        }
    }

    private bool TryDequeueOverflow(out IEventSink? sink, out uint cookie)
    {
        sink = null;
        cookie = 0;
        if (Volatile.Read(ref _overflowCount) == 0)
            return false;
        lock (_overflowGate)
        {
            if (!_overflow.TryDequeue(out (IEventSink Sink, uint Cookie) item))
                return false;
            Volatile.Write(ref _overflowCount, _overflow.Count);
            (sink, cookie) = item;
            return true;
        }
    }

    private struct Cell
    {
        public long Sequence;
        public IEventSink? Sink;
        public uint Cookie;
    }
}
