namespace KvmSharp.Core.Events;

/// <summary>
/// How long to poll before sleeping: long enough to catch events that come soon after, not at all when they come late. The rule
/// is that of QEMU's poll-max-ns, poll-grow and poll-shrink, with trials: who has to be woken answers late, which may be all that keeps the
/// next event from coming in time. So a wait is polled for as long as allowed now and then, the more rarely the less came of it.
/// </summary>
internal struct PollTimer(long maxNs, int grow, int shrink)
{
    /// <summary>The longest polling where waking is cheap, and until it is known what it takes, in nanoseconds.</summary>
    public const long LeastBoundNs = 65536;

    /// <summary>
    /// How many wake-ups one may poll for: once it catches an event, others follow that need none either, and no kick. Where a thread wakes in 8 µs
    /// that is the least bound, which was measured to be enough there.
    /// </summary>
    private const int WakeupsWorthPolling = 8;

    private const long FirstNs = 4000;

    /// <summary>Most waits between two trials. Each is longer than the trial, so that trials take a sixty-fourth of the time at most.</summary>
    private const int LastTrialInterval = 64;

    /// <summary>Also the longest bound for a cost of waking: what no trial may poll for is never found out to be worth it.</summary>
    private const long LongestTrialNs = 1_000_000;

    private int _trialInterval = 1;
    private int _untilTrial = 1;

    /// <summary>The most that a wait may poll, in nanoseconds.</summary>
    public long MaxNs { get; private set; } = maxNs;

    /// <summary>Nanoseconds to poll in this wait. What may poll for ever does so from the start.</summary>
    public long CurrentNs { get; private set; } = maxNs == long.MaxValue ? maxNs : 0;

    /// <summary>The bound, in nanoseconds, on a host that takes <paramref name="wakeCostNs"/> to wake a thread: 64 µs where that is cheap, 1 ms at most.</summary>
    public static long BoundFor(long wakeCostNs) => Math.Clamp(WakeupsWorthPolling * wakeCostNs, LeastBoundNs, LongestTrialNs);

    /// <summary>Another bound from the next wait on; the trials begin anew.</summary>
    public void Rebound(long maxNs)
    {
        MaxNs = maxNs;
        _trialInterval = _untilTrial = 1;
    }

    /// <summary>A wait begins.</summary>
    public void Begin()
    {
        if (CurrentNs == 0 && --_untilTrial <= 0)
            CurrentNs = Math.Min(MaxNs, LongestTrialNs);
    }

    /// <summary>One wait is over that ended in sleep; <paramref name="waitedNs"/> runs from the end of the last dispatch to the event, polling included.</summary>
    /// <param name="found">Polling found work before.</param>
    public void Update(long waitedNs, bool found)
    {
        if (found)
            _trialInterval = 1;
        if (waitedNs <= CurrentNs)
            return;
        if (waitedNs > MaxNs)
            Shrink();
        else
            Grow(waitedNs);
    }

    /// <summary>Until it would have caught this event.</summary>
    private void Grow(long waitedNs)
    {
        CurrentNs = Math.Max(CurrentNs, FirstNs);
        while (CurrentNs < waitedNs)
            CurrentNs *= Math.Max(grow, 2);
        CurrentNs = Math.Min(MaxNs, CurrentNs);
    }

    private void Shrink()
    {
        if (CurrentNs == 0)
            return;
        CurrentNs = shrink > 1 ? CurrentNs / shrink : 0;
        if (CurrentNs > 0)
            return;
        _untilTrial = _trialInterval;
        _trialInterval = Math.Min(2 * _trialInterval, LastTrialInterval);
    }
}
