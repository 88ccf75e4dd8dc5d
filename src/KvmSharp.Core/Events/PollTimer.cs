namespace KvmSharp.Core.Events;

/// <summary>
/// How long to poll before sleeping: long enough to catch events that come soon after, not at all when they come late. The rule
/// is that of QEMU's poll-max-ns, poll-grow and poll-shrink, with trials: who has to be woken answers late, which may be all that keeps the
/// next event from coming in time. So a wait is polled for as long as allowed now and then, the more rarely the less came of it.
/// </summary>
internal struct PollTimer(long maxNs, int grow, int shrink)
{
    private const long FirstNs = 4000;

    /// <summary>Most waits between two trials, beside which the time of one is nothing.</summary>
    private const int LastTrialInterval = 1024;

    private const long LongestTrialNs = 1_000_000;

    private int _trialInterval = 1;
    private int _untilTrial = 1;

    /// <summary>Nanoseconds to poll in this wait. What may poll for ever does so from the start.</summary>
    public long CurrentNs { get; private set; } = maxNs == long.MaxValue ? maxNs : 0;

    /// <summary>A wait begins.</summary>
    public void Begin()
    {
        if (CurrentNs == 0 && --_untilTrial <= 0)
            CurrentNs = Math.Min(maxNs, LongestTrialNs);
    }

    /// <summary>One wait is over that ended in sleep; <paramref name="waitedNs"/> runs from the end of the last dispatch to the event, polling included.</summary>
    /// <param name="found">Polling found work before.</param>
    public void Update(long waitedNs, bool found)
    {
        if (found)
            _trialInterval = 1;
        if (waitedNs <= CurrentNs)
            return;
        if (waitedNs > maxNs)
            Shrink();
        else if (CurrentNs < maxNs)
            CurrentNs = Math.Min(maxNs, CurrentNs == 0 ? FirstNs : CurrentNs * Math.Max(grow, 2));
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
