using KvmSharp.Core.Events;

namespace KvmSharp.TestKit;

/// <summary>Measures what work allocates on a loop's thread and on the caller's, once it is warm.</summary>
public sealed class AllocationProbe : IEventSink
{
    private const int Rounds = 5;
    private long _bytes;

    private AllocationProbe()
    {
    }

    /// <summary>
    /// Runs the round once to warm up, then until the loop's thread allocates nothing, five times at most: bytes of the last. What each operation of a round
    /// allocates is in every round; what comes once in a lifetime is not, such as the event that a <see cref="Lock"/> makes when a thread
    /// first has to wait for it (56 bytes), whenever that happens.
    /// </summary>
    public static long OnLoop(EventLoop loop, Action round) => Measure(loop, round, withCaller: false).Loop;

    /// <summary>The same for both threads.</summary>
    public static (long Loop, long Caller) OnBoth(EventLoop loop, Action round) => Measure(loop, round, withCaller: true);

    void IEventSink.OnReady(uint cookie, uint epollEvents) => _bytes = GC.GetAllocatedBytesForCurrentThread();

    private static (long Loop, long Caller) Measure(EventLoop loop, Action round, bool withCaller)
    {
        AllocationProbe probe = new();
        round();
        (long Loop, long Caller) last = default;
        for (int i = 0; i < Rounds; i++)
        {
            loop.Invoke(probe, 0);
            long before = probe._bytes;
            long caller = GC.GetAllocatedBytesForCurrentThread();
            round();
            caller = GC.GetAllocatedBytesForCurrentThread() - caller;
            loop.Invoke(probe, 0);
            last = (probe._bytes - before, withCaller ? caller : 0);
            if (last == default)
                break;
        }

        return last;
    }
}
