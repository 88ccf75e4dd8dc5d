using System.Diagnostics;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Core.Events;

/// <summary>
/// One named thread that waits on one epoll descriptor and calls sinks: the I/O thread that queues and back ends live on. It
/// polls adaptively before it sleeps, allocates nothing once running and takes no lock on its way to a sink.
/// </summary>
public sealed unsafe partial class EventLoop : IDisposable
{
    private const int EventBatch = 64;
    private const ulong WakeData = ulong.MaxValue;

    /// <summary>Polling rounds between two looks at the clock.</summary>
    private const int RoundsPerClock = 16;

    /// <summary>While polling, the descriptors that nobody polls are looked at this often.</summary>
    private const long LookIntervalNs = 4000;

    /// <summary>When polling always finds work, the descriptors are looked at once in this many rounds; a power of two.</summary>
    private const int HitsPerLook = 8;

    private readonly EventLoopOptions _options;
    private readonly FileDescriptor _epoll;
    private readonly EventFd _wake = new();
    private readonly PostRing _posts = new();
    private readonly Lock _registrationGate = new();
    private readonly ManualResetEventSlim _ended = new();
    private readonly epoll_event* _events;
    private Thread? _thread;
    private EventRegistration[] _slots = [];
    private IPollSink[] _pollSinks = [];
    private PollTimer _pollTimer;
    private WakeCost _wakeCost;
    private bool _measuresWaking;
    private int _sleeping;
    private int _stopping;
    private long _wakeups;
    private long _pollHits;
    private bool _disposed;

    /// <summary>Makes the loop; registrations and posts wait for <see cref="Start"/>. Throws <see cref="LinuxException"/>.</summary>
    public EventLoop(EventLoopOptions options)
    {
        _options = options;
        // With one CPU who polls keeps the one from working whom it waits for.
        _measuresWaking = options.PollMaxNs is null && Environment.ProcessorCount > 1;
        _pollTimer = new PollTimer(options.PollMaxNs ?? PollTimer.LeastBoundNs, options.PollGrow, options.PollShrink);
        int fd = Libc.epoll_create1(LibcConstants.EPOLL_CLOEXEC);
        _epoll = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("epoll_create1");
        epoll_event item = new() { events = LibcConstants.EPOLLIN, data = WakeData };
        if (Libc.epoll_ctl(fd, LibcConstants.EPOLL_CTL_ADD, _wake.Value, &item) != 0)
            throw LinuxException.FromLastError("epoll_ctl");
        _events = (epoll_event*)NativeMemory.Alloc(EventBatch, (nuint)sizeof(epoll_event));
    }

    public string Name => _options.Name;

    /// <summary>True when called on the loop's own thread.</summary>
    public bool IsCurrent => Thread.CurrentThread == _thread;

    /// <summary>Times the loop came back from sleeping, for reports.</summary>
    public long Wakeups => Volatile.Read(ref _wakeups);

    /// <summary>Times polling found work and saved a sleep, for reports.</summary>
    public long PollHits => Volatile.Read(ref _pollHits);

    /// <summary>Starts the thread. Throws <see cref="LinuxException"/> if it cannot be pinned to the CPUs asked for. Once only.</summary>
    public void Start()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_thread is not null)
            throw new InvalidOperationException($"event loop {Name} was started before");
        LinuxException? startError = null;
        using ManualResetEventSlim started = new();
        _thread = HostThread.Create(Name, ThreadRole.Io, () =>
        {
            bool run = startError is null;
            started.Set();
            if (run)
                RunGuarded();
            _ended.Set();
        }, beforeRole: () => startError = CpuAffinity.TryPinCurrentThread(_options.Cpus));
        _thread.Start();
        started.Wait();
        if (startError is null)
            return;
        _thread.Join();
        throw startError;
    }

    /// <summary>
    /// Asks the loop to end and waits for it, unless called by a sink of the loop itself. Pending events and posts are dropped.
    /// Idempotent; any thread.
    /// </summary>
    public void Stop()
    {
        Volatile.Write(ref _stopping, 1);
        _wake.Signal();
        if (!IsCurrent)
            _thread?.Join();
    }

    /// <summary>
    /// Calls the sink on the loop's thread, soon. Any thread; never blocks and does not allocate (unless a thousand posts are
    /// waiting). Posts made before <see cref="Start"/> run then.
    /// </summary>
    public void Post(IEventSink sink, uint cookie)
    {
        _posts.Enqueue(sink, cookie);
        // Pairs with the fence in WaitForEvents: either we see that the loop sleeps, or it sees our post before it does.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _sleeping) != 0 && Interlocked.Exchange(ref _sleeping, 0) != 0)
            _wake.Signal();
    }

    /// <summary>Stops the loop and releases it. Not on the loop's own thread.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        if (IsCurrent)
            throw new InvalidOperationException("an event loop cannot be disposed by its own thread");
        Stop();
        _disposed = true;
        ReleaseRegistrations();
        _epoll.Dispose();
        _wake.Dispose();
        _ended.Dispose();
        NativeMemory.Free(_events);
    }

    private void RunGuarded()
    {
        try
        {
            if (_options.Interruptible)
                BecomeInterruptible();
            while (Volatile.Read(ref _stopping) == 0)
            {
                int count = WaitForEvents();
                DispatchEvents(count);
                DispatchPosts();
                _turns++;
            }
        }
        catch (Exception exception)
        {
            ReportFailure(exception);
        }
        finally
        {
            Volatile.Write(ref _tid, 0);
        }
    }

    private void ReportFailure(Exception exception)
    {
        try
        {
            if (_options.OnFailure is { } report)
                report(exception);
            else
                Console.Error.WriteLine($"event loop {Name} failed: {exception}");
        }
        catch (Exception)
        {
            // The reporter is the last resort; an exception of its own has nowhere to go.
        }
    }

    /// <summary>Polls, then sleeps, until a descriptor is ready, a post is there or the loop shall stop.</summary>
    private int WaitForEvents()
    {
        IPollSink[] sinks = Volatile.Read(ref _pollSinks);
        if (sinks.Length == 0 || _pollTimer.MaxNs <= 0)
            return Sleep();
        long start = Stopwatch.GetTimestamp();
        long hits = _pollHits;
        _pollTimer.Begin();
        if (_pollTimer.CurrentNs > 0 && TryPoll(sinks, ref start, out int count))
            return count;
        if (!_measuresWaking)
            count = Sleep();
        else if (!SleepMeasured(out count))
            return 0;
        _pollTimer.Update(ElapsedNs(start), _pollHits != hits);
        return count;
    }

    /// <summary>
    /// One polling phase, which lasts as long as the sinks find work in time; <paramref name="start"/> moves to when they last did.
    /// True when there is something else to do: a post arrived, or <paramref name="count"/> descriptors are ready.
    /// </summary>
    private bool TryPoll(IPollSink[] sinks, ref long start, out int count)
    {
        long nextLook = LookIntervalNs;
        int hits = 0;
        bool elsewhere = false;
        count = 0;
        foreach (IPollSink sink in sinks)
            sink.BeginPoll();
        for (int round = 1; !elsewhere; round++)
        {
            bool found = false;
            foreach (IPollSink sink in sinks)
                found |= sink.Poll();
            elsewhere = _posts.Count > 0 || Volatile.Read(ref _stopping) != 0;
            bool look;
            if (found)
            {
                _pollHits++;
                start = Stopwatch.GetTimestamp();
                nextLook = LookIntervalNs;
                round = 0;
                look = ++hits % HitsPerLook == 0;
            }
            else
            {
                if (elsewhere || round % RoundsPerClock != 0)
                    continue;
                long elapsed = ElapsedNs(start);
                if (elapsed >= _pollTimer.CurrentNs)
                    break;
                look = elapsed >= nextLook;
                nextLook = look ? elapsed + LookIntervalNs : nextLook;
            }

            if (look)
            {
                count = EpollWait(0);
                elsewhere |= count > 0;
                // Who the work comes from may wait for this very CPU.
                if (!found && !elsewhere)
                    _ = Thread.Yield();
            }
        }

        foreach (IPollSink sink in sinks)
            sink.EndPoll();
        return elsewhere;
    }

    /// <summary>Sleeps with a timeout; false when it ran into it, which tells what waking takes.</summary>
    private bool SleepMeasured(out int count)
    {
        long start = Stopwatch.GetTimestamp();
        count = Sleep(WakeCost.TimeoutMs);
        long sleptNs = ElapsedNs(start);
        if (count > 0 || sleptNs < WakeCost.TimeoutMs * 1_000_000L)
            return true;
        _wakeCost.Add(sleptNs);
        _measuresWaking = !_wakeCost.IsKnown;
        if (!_measuresWaking)
            _pollTimer.Rebound(PollTimer.BoundFor(_wakeCost.Ns));
        return false;
    }

    private int Sleep(int timeoutMs = -1)
    {
        if (_posts.Count > 0)
            return EpollWait(0);
        Volatile.Write(ref _sleeping, 1);
        // Pairs with the fence in Post: the store above is visible before the ring is looked at for the last time.
        Interlocked.MemoryBarrier();
        long since = Tracer.IsOn ? Tracer.Now : 0;
        int count = EpollWait(_posts.Count > 0 || Volatile.Read(ref _stopping) != 0 ? 0 : timeoutMs);
        if (since != 0)
            Tracer.Idle(since);
        Volatile.Write(ref _sleeping, 0);
        _wakeups++;
        if (Volatile.Read(ref _onWaking) is { } call)
        {
            // Pairs with that of whoever looked whether the loop sleeps, see CallOnWaking.
            Interlocked.MemoryBarrier();
            call();
        }

        return count;
    }

    private int EpollWait(int timeoutMs)
    {
        int count = Libc.epoll_wait(_epoll.Value, _events, EventBatch, timeoutMs);
        if (count >= 0)
            return count;
        int errno = Marshal.GetLastPInvokeError();
        return errno == LibcConstants.EINTR ? 0 : throw new LinuxException("epoll_wait", errno);
    }

    private void DispatchEvents(int count)
    {
        for (int i = 0; i < count && Volatile.Read(ref _stopping) == 0; i++)
        {
            // SAFETY: epoll_wait filled count <= EventBatch entries.
            ulong data = _events[i].data;
            if (data == WakeData)
                _wake.Drain();
            else
                Dispatch(new EventToken((uint)data, (uint)(data >> 32)), _events[i].events);
        }
    }

    /// <summary>At most the posts that were there at the start: what they post in turn waits until the descriptors had their turn.</summary>
    private void DispatchPosts()
    {
        for (int budget = _posts.Count; budget > 0 && Volatile.Read(ref _stopping) == 0; budget--)
        {
            if (!_posts.TryDequeue(out IEventSink? sink, out uint cookie))
                return;
            sink!.OnReady(cookie, 0);
        }
    }

    private static long ElapsedNs(long since) =>
        (long)((Stopwatch.GetTimestamp() - since) * (1e9 / Stopwatch.Frequency));
}
