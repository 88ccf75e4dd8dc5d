using KvmSharp.Abi;
using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Serve.Session;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Serve;

/// <summary>
/// A device and the socket on which its front ends call, one at a time: the next one waits in the socket's queue until the last one is gone.
/// Owns both. Lives on the control thread but for construction and <see cref="Dispose"/>.
/// </summary>
public sealed class ServePort : IEventSink, IDisposable
{
    private const uint AcceptCookie = 0, OpenCookie = 1, CloseCookie = 2;

    private readonly UnixListener _listener;
    private readonly IServedDevice _device;
    private readonly EventLoop _control;
    private readonly IReadOnlyList<EventLoop> _io;
    private readonly ILogger _logger;
    private EventToken _accept;
    private VhostUserSession? _session;
    private bool _closed;

    internal ServePort(string name, UnixListener listener, IServedDevice device, EventLoop control, IReadOnlyList<EventLoop> io, ILogger logger)
    {
        Name = name;
        _listener = listener;
        _device = device;
        _control = control;
        _io = io;
        _logger = logger;
        // Not waited for: whoever adds a port holds a lock that the control thread may want.
        control.Post(this, OpenCookie);
    }

    public string Name { get; }

    public string SocketPath => _listener.Path;

    public IServedDevice Device => _device;

    /// <summary>There is a front end. Any thread.</summary>
    public bool IsConnected => Volatile.Read(ref _session) is not null;

    /// <summary>Idempotent.</summary>
    public void Dispose() => _control.Invoke(this, CloseCookie);

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case CloseCookie:
                Close();
                break;
            case OpenCookie:
                Listen();
                break;
            default:
                Accept();
                break;
        }
    }

    private void Listen()
    {
        if (!_closed)
            _accept = _control.Register(_listener.File, LibcConstants.EPOLLIN, this, AcceptCookie);
    }

    private void Accept()
    {
        if (_closed || _session is not null || _listener.TryAccept() is not { } socket)
            return;
        _control.Unregister(_accept);
        _session = new VhostUserSession(socket, _device, _control, _io, _logger, OnEnded);
        _logger.LogInformation("a front end has connected");
    }

    private void OnEnded()
    {
        _session = null;
        if (_device.Summary is { } summary)
            _logger.LogInformation("so far {Summary}", summary);
        Listen();
    }

    private void Close()
    {
        if (_closed)
            return;
        _closed = true;
        _control.Unregister(_accept);
        _session?.Dispose();
        _session = null;
        _device.Dispose();
        _listener.Dispose();
    }
}
