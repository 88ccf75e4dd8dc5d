using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Serve.Session;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Serve;

/// <summary>
/// A device and where its front ends come from, one at a time: on a socket of ours the next one waits in its queue until the last one is gone.
/// Owns both. Lives on the control thread but for construction and <see cref="Dispose"/>.
/// </summary>
public sealed class ServePort : IEventSink, IDisposable
{
    /// <summary>Who held an I/O thread up waits this long, so that others are served most of the time.</summary>
    private const long PenaltyNs = 10_000_000_000;

    private readonly IServedDevice _device;
    private readonly EventLoop _control;
    private readonly IReadOnlyList<EventLoop> _io;
    private readonly ILogger _logger;
    private readonly IFrontEndSource _source;
    private VhostUserSession? _session;
    private bool _closed;

    internal ServePort(string name, IFrontEndSource source, IServedDevice device, EventLoop control, IReadOnlyList<EventLoop> io, ILogger logger)
    {
        Name = name;
        _device = device;
        _control = control;
        _io = io;
        _logger = logger;
        _source = source;
        _source.Start(OnConnected);
    }

    public string Name { get; }

    public string SocketPath => _source.Path;

    public IServedDevice Device => _device;

    /// <summary>There is a front end. Any thread.</summary>
    public bool IsConnected => Volatile.Read(ref _session) is not null;

    /// <summary>Idempotent.</summary>
    public void Dispose() => _control.Invoke(this, 0);

    /// <summary>Closes it.</summary>
    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_closed)
            return;
        _closed = true;
        _source.Dispose();
        _session?.Dispose();
        _session = null;
        _device.Dispose();
    }

    private void OnConnected(FileDescriptor socket)
    {
        _source.Close();
        _session = new VhostUserSession(socket, _device, _control, _io, _logger, OnEnded);
        _logger.LogInformation("a front end has connected");
    }

    private void OnEnded(bool heldUs)
    {
        _session = null;
        if (_device.Statistics is { } statistics)
            _logger.LogInformation("so far {Statistics}", statistics);
        if (heldUs)
            _source.OpenAfter(PenaltyNs);
        else
            _source.Open();
    }
}
