using KvmSharp.Abi;

namespace KvmSharp.Core.Events;

/// <summary>A timer on an <see cref="EventLoop"/> (timerfd, CLOCK_MONOTONIC). Arming is thread-safe; the sink runs on the loop.</summary>
public sealed unsafe class EventTimer : IDisposable, IEventSink
{
    private readonly EventLoop _loop;
    private readonly IEventSink _sink;
    private readonly uint _cookie;
    private readonly FileDescriptor _timer;
    private readonly EventToken _token;

    /// <summary>A disarmed timer. Throws <see cref="LinuxException"/>.</summary>
    public EventTimer(EventLoop loop, IEventSink sink, uint cookie)
    {
        _loop = loop;
        _sink = sink;
        _cookie = cookie;
        int fd = Libc.timerfd_create(LibcConstants.CLOCK_MONOTONIC, LibcConstants.TFD_CLOEXEC | LibcConstants.TFD_NONBLOCK);
        _timer = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("timerfd_create");
        _token = loop.Register(_timer, LibcConstants.EPOLLIN, this, 0);
    }

    /// <summary>
    /// Expires once after <paramref name="dueNs"/> nanoseconds (at least 1), then every <paramref name="periodNs"/> if not 0.
    /// Replaces what was armed before. Any thread.
    /// </summary>
    public void Arm(long dueNs, long periodNs = 0) => Set(Math.Max(dueNs, 1), Math.Max(periodNs, 0));

    /// <summary>An expiry that is already on its way may still be delivered. Any thread.</summary>
    public void Disarm() => Set(0, 0);

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        ulong expirations;
        if (Libc.read(_timer.Value, &expirations, sizeof(ulong)) == sizeof(ulong))
            _sink.OnReady(_cookie, 0);
    }

    /// <summary>The sink is not called again after this returns (off the loop's thread it waits for a running call).</summary>
    public void Dispose()
    {
        _loop.Unregister(_token);
        _timer.Dispose();
    }

    private void Set(long dueNs, long periodNs)
    {
        itimerspec spec = new() { it_value = Split(dueNs), it_interval = Split(periodNs) };
        _ = Libc.timerfd_settime(_timer.Value, 0, &spec, null);
    }

    private static timespec Split(long ns) => new() { tv_sec = ns / 1_000_000_000, tv_nsec = ns % 1_000_000_000 };
}
