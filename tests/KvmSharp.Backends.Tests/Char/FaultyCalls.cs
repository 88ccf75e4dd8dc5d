using System.Collections.Concurrent;
using KvmSharp.Abi;
using KvmSharp.Backends.Char;

namespace KvmSharp.Backends.Tests.Char;

/// <summary>
/// A host that fails as it is told, then works: each number queued is for one call, -errno for a failure, else the most bytes that are transferred. Calls are counted.
/// </summary>
internal sealed class FaultyCalls : CharCalls
{
    private int _reads, _writes, _polls, _accepts;

    public ConcurrentQueue<int> Reads { get; init; } = new();

    public ConcurrentQueue<int> Writes { get; init; } = new();

    public ConcurrentQueue<int> Polls { get; init; } = new();

    public ConcurrentQueue<int> Accepts { get; init; } = new();

    /// <summary>What every call of the kind does once its queue is empty; 0: it works.</summary>
    public int AllReads { get; set; }

    public int AllWrites { get; set; }

    public int AllPolls { get; set; }

    public int AllAccepts { get; set; }

    public int Count => Volatile.Read(ref _reads) + Volatile.Read(ref _writes) + Volatile.Read(ref _polls) + Volatile.Read(ref _accepts);

    public override int Read(int fd, Span<byte> to)
    {
        Interlocked.Increment(ref _reads);
        int fault = Next(Reads, AllReads);
        return fault < 0 ? fault : base.Read(fd, fault == 0 ? to : to[..Math.Min(fault, to.Length)]);
    }

    public override int Write(int fd, ReadOnlySpan<byte> data)
    {
        Interlocked.Increment(ref _writes);
        int fault = Next(Writes, AllWrites);
        return fault < 0 ? fault : base.Write(fd, fault == 0 ? data : data[..Math.Min(fault, data.Length)]);
    }

    public override int Poll(Span<pollfd> items, int timeoutMs)
    {
        Interlocked.Increment(ref _polls);
        int fault = Next(Polls, AllPolls);
        return fault < 0 ? fault : base.Poll(items, timeoutMs);
    }

    public override int Accept(int listener)
    {
        Interlocked.Increment(ref _accepts);
        int fault = Next(Accepts, AllAccepts);
        return fault < 0 ? fault : base.Accept(listener);
    }

    private static int Next(ConcurrentQueue<int> queue, int otherwise) => queue.TryDequeue(out int fault) ? fault : otherwise;
}
