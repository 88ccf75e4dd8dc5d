namespace KvmSharp.Core.Events;

/// <summary>
/// How long to poll before sleeping: long enough to catch events that come soon after, not at all when they come late. The rule
/// is that of QEMU's poll-max-ns, poll-grow and poll-shrink.
/// </summary>
internal struct PollTimer(long maxNs, int grow, int shrink)
{
    private const long FirstNs = 4000;

    /// <summary>Nanoseconds to poll in the next round. What may poll for ever does so from the start.</summary>
    public long CurrentNs { get; private set; } = maxNs == long.MaxValue ? maxNs : 0;

    /// <summary>One wait is over; <paramref name="waitedNs"/> runs from the end of the last dispatch to the event, polling included.</summary>
    public void Update(long waitedNs)
    {
        if (waitedNs <= CurrentNs)
            return;
        if (waitedNs > maxNs)
            CurrentNs = shrink > 1 ? CurrentNs / shrink : 0;
        else if (CurrentNs < maxNs)
            CurrentNs = Math.Min(maxNs, CurrentNs == 0 ? FirstNs : CurrentNs * Math.Max(grow, 2));
    }
}
