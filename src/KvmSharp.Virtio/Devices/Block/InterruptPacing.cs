namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// Decides when finished requests are given back, for a disk that is faster than its guest. Giving each back at once would interrupt
/// the guest while it submits the next ones, and every interrupt costs it an exit; so they are held until about half of what the guest
/// keeps in flight is done (it never runs dry), and no longer than the guest pauses. How much it keeps in flight is found by holding
/// longer once in a while. A guest that keeps one request in flight is answered at once.
/// </summary>
/// <remarks>While something is held, somebody looks at <see cref="IsOverdue"/>. Times in nanoseconds of one clock.</remarks>
internal struct InterruptPacing(int limit)
{
    /// <summary>Longest pause of the guest that is waited out.</summary>
    private const long MaxHoldNs = 200_000;

    private const long MinHoldNs = 2_000;
    private const int FirstProbeInterval = 32;
    private const int LastProbeInterval = 1024;

    private int _target = 1;
    private int _probe;
    private int _untilProbe = FirstProbeInterval;
    private int _probeInterval = FirstProbeInterval;
    private long _lastArrivalNs;
    private long _gapNs = MaxHoldNs / 2;

    /// <summary>Requests that are held before they are given back together, 1 to the limit.</summary>
    public readonly int Target => _target;

    /// <summary>The guest has submitted <paramref name="count"/> requests since the last call.</summary>
    public void OnArrivals(int count, long nowNs)
    {
        long gap = Math.Clamp((nowNs - _lastArrivalNs) / count, 0, MaxHoldNs);
        _gapNs += (gap - _gapNs) / 8;
        _lastArrivalNs = nowNs;
    }

    /// <summary>True: <paramref name="held"/> finished requests are enough.</summary>
    public readonly bool IsEnough(int held) => held >= (_probe > 0 ? _probe : _target);

    /// <summary>True: the guest pauses, so it waits for what is held.</summary>
    public readonly bool IsOverdue(long nowNs) => nowNs - _lastArrivalNs > Math.Clamp(2 * _gapNs, MinHoldNs, MaxHoldNs);

    /// <summary><paramref name="held"/> requests were given back: because the guest paused, or for another reason.</summary>
    public void OnPublished(int held, bool paused)
    {
        if (_probe > held && !paused)
            return;
        int before = _target;
        if (paused)
        {
            // All that the guest had in flight.
            _target = Math.Max(1, held / 2);
        }
        else if (_probe > 0)
        {
            _target = Math.Min(limit, 2 * _target);
        }

        if (_probe > 0)
        {
            _probe = 0;
            _probeInterval = _target == before ? Math.Min(2 * _probeInterval, LastProbeInterval) : FirstProbeInterval;
            _untilProbe = _target > before ? 1 : _probeInterval;
        }
        else if (_target != before)
        {
            _untilProbe = _probeInterval = FirstProbeInterval;
        }
        else if (_target < limit && --_untilProbe <= 0)
        {
            // A guest with twice the target would be answered right; four times the target shows that it has more.
            _probe = 4 * _target;
        }
    }
}
