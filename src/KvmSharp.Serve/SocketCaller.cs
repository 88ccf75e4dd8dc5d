using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Serve;

/// <summary>Connects to the socket on which a front end listens, and tries again twice a second as long as none does.</summary>
internal sealed class SocketCaller : IFrontEndSource, IEventSink
{
    private const uint StartCookie = 0, CallCookie = 1;
    private const long RetryNs = 500_000_000;

    private readonly EventLoop _loop;
    private Action<FileDescriptor>? _connected;
    private EventTimer? _timer;
    private bool _open;
    private bool _hasCalled;
    private bool _disposed;

    /// <summary>Throws <see cref="BackendException"/> if this can be no socket's path. Nobody need listen there yet.</summary>
    public SocketCaller(string path, EventLoop loop)
    {
        SocketPath.Check(path, "connect to");
        Path = path;
        _loop = loop;
    }

    public string Path { get; }

    public void Start(Action<FileDescriptor> connected)
    {
        _connected = connected;
        _loop.Post(this, StartCookie);
    }

    /// <summary>Whoever hangs up at once is not called again at once.</summary>
    public void Open() => OpenAfter(_hasCalled ? RetryNs : 0);

    public void OpenAfter(long delayNs)
    {
        if (_disposed)
            return;
        _open = true;
        _timer ??= new EventTimer(_loop, this, CallCookie);
        _timer.Arm(delayNs);
    }

    public void Close()
    {
        _open = false;
        _timer?.Disarm();
    }

    public void Dispose()
    {
        _disposed = true;
        _timer?.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_disposed)
            return;
        if (cookie == StartCookie)
        {
            Open();
            return;
        }

        if (!_open)
            return;
        _hasCalled = true;
        if (PathEntry.TryConnect(Path) is { } socket)
            _connected!(socket);
        else
            Open();
    }
}
