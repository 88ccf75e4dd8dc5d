using KvmSharp.Abi;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Events;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Virtio.Vhost;

/// <summary>
/// Watches the process that serves a device: when it is gone, looks for the next one until there is one; passes on what it says by itself.
/// Borrows the back end and the loop.
/// </summary>
internal sealed class VhostUserLink : IEventSink, IDisposable
{
    private const uint HangupCookie = 0, RetryCookie = 1, WatchCookie = 2, StopCookie = 3, ChannelCookie = 4;

    /// <summary>Nanoseconds between looks for a new back end; they double, up to a limit, with each that was gone again within a second or was of no use.</summary>
    private const long RetryNs = 100_000_000, RetryLimitNs = 5_000_000_000;

    private const long ShortLifeMs = 1000;

    private readonly VhostUserBackend _backend;
    private readonly EventLoop _loop;
    private readonly ILogger _logger;
    private readonly IVhostUserOwner _owner;
    private readonly EventTimer _retry;

    private VirtioContext? _context;

    // The loop's alone.
    private VhostUserChannel? _channel;
    private EventToken _hangup, _asked;
    private bool _stopped;
    private long _retryNs = RetryNs;
    private long _connectedAtMs = Environment.TickCount64;

    public VhostUserLink(VhostUserBackend backend, EventLoop loop, ILogger logger, IVhostUserOwner owner)
    {
        _backend = backend;
        _loop = loop;
        _logger = logger;
        _owner = owner;
        _retry = new EventTimer(loop, this, RetryCookie);
    }

    /// <summary>The active device's; null while there is none. Any thread.</summary>
    public VirtioContext? Context => Volatile.Read(ref _context);

    /// <summary>Begins to watch. Once.</summary>
    public void Start() => _loop.Invoke(this, WatchCookie);

    /// <inheritdoc cref="IVirtioDevice.Activate"/>
    public void Activate(VirtioContext context) => Volatile.Write(ref _context, context);

    /// <inheritdoc cref="IVirtioDevice.Reset"/>
    public void Reset()
    {
        Volatile.Write(ref _context, null);
        _backend.Reset();
    }

    /// <summary>The owner is not called any more; the back end stays, with nothing negotiated. Every queue is stopped already.</summary>
    public void Dispose()
    {
        _loop.Invoke(this, StopCookie);
        _retry.Dispose();
        Reset();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case WatchCookie:
                Watch();
                break;
            case StopCookie:
                _stopped = true;
                Unwatch();
                break;
            case HangupCookie:
                Lose();
                break;
            case ChannelCookie:
                Listen();
                break;
            default:
                if (!_stopped && !_hangup.IsValid)
                    Reconnect();
                break;
        }
    }

    private void Watch()
    {
        if (_backend.Connection is not { } connection)
        {
            _retry.Arm(_retryNs);
            return;
        }

        _hangup = _loop.Register(connection, LibcConstants.EPOLLRDHUP, this, HangupCookie);
        _channel = _backend.Channel;
        if (_channel is not null)
            _asked = _loop.Register(_channel.File, LibcConstants.EPOLLIN | LibcConstants.EPOLLRDHUP, this, ChannelCookie);
    }

    private void Unwatch()
    {
        _loop.Unregister(_hangup);
        _loop.Unregister(_asked);
        (_hangup, _asked, _channel) = (default, default, null);
    }

    private void Lose()
    {
        Unwatch();
        _backend.GiveUp();
        _logger.LogWarning("the vhost-user back end is gone; requests wait for the next one behind the same socket");
        if (Context is { } context && _backend.LosesPositions)
            context.NeedsReset("its vhost-user back end is gone, and with it where the packed rings stand");
        _owner.OnLost();
        _retryNs = Environment.TickCount64 - _connectedAtMs < ShortLifeMs ? Longer(_retryNs) : RetryNs;
        _retry.Arm(_retryNs);
    }

    private void Reconnect()
    {
        bool returned = _backend.TryReconnect(out bool met);
        if (returned)
        {
            _connectedAtMs = Environment.TickCount64;
            _logger.LogWarning("a vhost-user back end is there again and goes on");
        }
        else if (met)
        {
            _retryNs = Longer(_retryNs);
        }

        Watch();
        if (returned)
            _owner.OnReturned();
    }

    private static long Longer(long retryNs) => Math.Min(2 * retryNs, RetryLimitNs);

    private void Listen()
    {
        bool changed = false;
        if (_channel is not null && !_channel.TryServe(out changed))
        {
            _loop.Unregister(_asked);
            (_asked, _channel) = (default, null);
        }

        if (changed)
            _owner.OnConfigChanged();
    }
}
