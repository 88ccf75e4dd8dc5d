namespace KvmSharp.Core.Events;

/// <summary>
/// How long this host takes to let a sleeping thread run again, found out on sleeps that happen anyway: each gets a timeout until enough
/// have run into it, and how late they come back is the cost. An event ends such a sleep as it ends any other.
/// </summary>
internal struct WakeCost
{
    /// <summary>The timeout of a sleep that measures, in milliseconds.</summary>
    public const int TimeoutMs = 1;

    private const int Samples = 8;

    /// <summary>A timer may fire this much later than asked, prctl(2) PR_SET_TIMERSLACK.</summary>
    private const long TimerSlackNs = 50_000;

    /// <summary>The costs seen so far, least first.</summary>
    private SampleBuffer _costs;

    private int _count;

    /// <summary>Enough was seen: <see cref="Ns"/> is there, and sleeps need no timeout.</summary>
    public readonly bool IsKnown => _count == Samples;

    /// <summary>The cost in nanoseconds: the lower quartile, as a busy CPU adds to some samples, and another interrupt takes the slack from some.</summary>
    public readonly long Ns => _costs[Samples / 4];

    /// <summary>A sleep ran into its timeout after <paramref name="sleptNs"/>.</summary>
    public void Add(long sleptNs)
    {
        if (IsKnown)
            return;
        long cost = Math.Max(0, sleptNs - (TimeoutMs * 1_000_000L) - TimerSlackNs);
        int place = _count++;
        for (; place > 0 && _costs[place - 1] > cost; place--)
            _costs[place] = _costs[place - 1];
        _costs[place] = cost;
    }

    [System.Runtime.CompilerServices.InlineArray(Samples)]
    private struct SampleBuffer
    {
        private long _first;
    }
}
