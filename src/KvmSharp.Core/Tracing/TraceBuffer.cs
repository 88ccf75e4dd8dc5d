namespace KvmSharp.Core.Tracing;

/// <summary>
/// The records of one thread that are not in the file yet: a ring that the thread fills and the session's writer empties, without locks. A full
/// ring loses the newest records and counts them.
/// </summary>
internal sealed class TraceBuffer(TraceSession session, int threadId, string threadName)
{
    /// <summary>A power of two. At a million records a second the writer has 16 ms to come back.</summary>
    internal const int Capacity = 1 << 14;

    private readonly TraceRecord[] _records = new TraceRecord[Capacity];

    // Both run on for ever and wrap; each has one writer.
    private int _head;
    private int _tail;
    private long _lost;
    private bool _ended;

    public TraceSession Session => session;

    public int ThreadId => threadId;

    public string ThreadName => threadName;

    /// <summary>The device that the exit in progress went to. The thread's own.</summary>
    public TraceName Subject { get; set; }

    /// <summary>Records that found the ring full.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>The writer's notes: what it has reported of <see cref="Lost"/>, and whether the file has the thread's name.</summary>
    public long LostReported { get; set; }

    /// <inheritdoc cref="LostReported"/>
    public bool IsIntroduced { get; set; }

    /// <summary>The thread has ended: what is in the ring is all there will be.</summary>
    public bool HasEnded => Volatile.Read(ref _ended);

    /// <summary>On the thread.</summary>
    public void Add(in TraceRecord record)
    {
        int head = _head;
        if (unchecked(head - Volatile.Read(ref _tail)) == Capacity)
        {
            Volatile.Write(ref _lost, _lost + 1);
            return;
        }

        _records[head & (Capacity - 1)] = record;
        Volatile.Write(ref _head, unchecked(head + 1));
    }

    /// <summary>On the thread, as its last act.</summary>
    public void End() => Volatile.Write(ref _ended, true);

    /// <summary>The oldest record. On the writer.</summary>
    public bool TryTake(out TraceRecord record)
    {
        int tail = _tail;
        if (tail == Volatile.Read(ref _head))
        {
            record = default;
            return false;
        }

        record = _records[tail & (Capacity - 1)];
        Volatile.Write(ref _tail, unchecked(tail + 1));
        return true;
    }
}
