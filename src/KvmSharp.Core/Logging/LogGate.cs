namespace KvmSharp.Core.Logging;

/// <summary>
/// Lets a bounded number of messages per second through: one per guest-triggered log call site, so that a guest cannot flood
/// the log. Thread-safe, allocation-free.
/// </summary>
public sealed class LogGate(int burst = 10)
{
    private long _windowStartMs;
    private int _passed;
    private int _suppressed;

    /// <summary>True if the caller may log now; <paramref name="suppressed"/> is how many messages were dropped since the last one.</summary>
    public bool TryPass(out int suppressed)
    {
        long now = Environment.TickCount64;
        long start = Volatile.Read(ref _windowStartMs);
        if (now - start >= 1000 && Interlocked.CompareExchange(ref _windowStartMs, now, start) == start)
            Volatile.Write(ref _passed, 0);
        if (Interlocked.Increment(ref _passed) > burst)
        {
            Interlocked.Increment(ref _suppressed);
            suppressed = 0;
            return false;
        }

        suppressed = Interlocked.Exchange(ref _suppressed, 0);
        return true;
    }
}
