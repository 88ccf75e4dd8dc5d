using KvmSharp.Core.Events;

namespace KvmSharp.Serve;

/// <summary>
/// Looks now and then whether an I/O thread stands still in a system call, and interrupts that: the eventfds of a front end, non-blocking when they came, are
/// made blocking by it at any moment. Dozes while all of them sleep, until one wakes. Disposing of it ends its thread.
/// </summary>
internal sealed class StallWatch : IEventSink, IDisposable
{
    private const uint WakeCookie = 0, LookCookie = 1;

    /// <summary>Between two looks; a thread is held up for twice that at most.</summary>
    private const long DefaultIntervalNs = 250_000_000;

    private readonly IReadOnlyList<EventLoop> _loops;
    private readonly long[] _turns;
    private readonly EventLoop _watch;
    private readonly EventTimer _timer;
    private readonly long _intervalNs;
    private long _looks;
    private int _dozes = 1;

    /// <param name="loops">Interruptible ones.</param>
    /// <param name="onFailure">As <see cref="EventLoopOptions.OnFailure"/>, of the watch's own thread.</param>
    public StallWatch(IReadOnlyList<EventLoop> loops, Action<Exception> onFailure, long intervalNs = DefaultIntervalNs)
    {
        _intervalNs = intervalNs;
        _loops = loops;
        _turns = new long[loops.Count];
        _watch = new EventLoop(new EventLoopOptions { Name = "serve-watch", PollMaxNs = 0, OnFailure = onFailure });
        _timer = new EventTimer(_watch, this, LookCookie);
        foreach (EventLoop loop in loops)
            loop.CallOnWaking(OnWaking);
        _watch.Start();
        // Those that are awake by now have not said so.
        OnWaking();
    }

    /// <summary>How often it has looked.</summary>
    public long Looks => Volatile.Read(ref _looks);

    /// <summary>All threads sleep and nobody looks. A hint.</summary>
    public bool IsDozing => Volatile.Read(ref _dozes) != 0;

    public void Dispose()
    {
        foreach (EventLoop loop in _loops)
        {
            loop.CallOnWaking(null);
            // A call that was running posts to the watch's thread.
            loop.Settle();
        }

        _timer.Dispose();
        _watch.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == LookCookie)
            Look();
        else
            Begin();
    }

    /// <summary>I/O threads.</summary>
    private void OnWaking()
    {
        if (Volatile.Read(ref _dozes) != 0 && Interlocked.Exchange(ref _dozes, 0) != 0)
            _watch.Post(this, WakeCookie);
    }

    private void Begin()
    {
        for (int i = 0; i < _turns.Length; i++)
            _turns[i] = _loops[i].Turns;
        _timer.Arm(_intervalNs, _intervalNs);
    }

    private void Look()
    {
        _looks++;
        for (int i = 0; i < _turns.Length; i++)
        {
            long now = _loops[i].Turns;
            if (now == _turns[i] && !_loops[i].IsSleeping)
                _loops[i].Interrupt();
            _turns[i] = now;
        }

        if (SomeAreAwake())
            return;
        Volatile.Write(ref _dozes, 1);
        // Pairs with the fence of EventLoop.CallOnWaking: either we see that a loop woke, or it sees that we doze.
        Interlocked.MemoryBarrier();
        if (SomeAreAwake() && Interlocked.Exchange(ref _dozes, 0) != 0)
            return;
        // One that took the word back has posted: it arms the timer again, after this.
        _timer.Disarm();
    }

    private bool SomeAreAwake()
    {
        foreach (EventLoop loop in _loops)
        {
            if (!loop.IsSleeping)
                return true;
        }

        return false;
    }
}
