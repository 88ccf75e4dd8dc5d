using System.Text;
using KvmSharp.Abi;
using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Serve;

/// <summary>Connects to the socket on which a front end listens, and tries again twice a second as long as none does.</summary>
internal sealed unsafe class SocketCaller : IFrontEndSource, IEventSink
{
    private const uint StartCookie = 0, CallCookie = 1;
    private const long RetryNs = 500_000_000;

    private readonly EventLoop _loop;
    private readonly sockaddr_un _address;
    private Action<FileDescriptor>? _connected;
    private EventTimer? _timer;
    private bool _open;
    private bool _hasCalled;
    private bool _disposed;

    /// <summary>Throws <see cref="BackendException"/> if this can be no socket's path. Nobody need listen there yet.</summary>
    public SocketCaller(string path, EventLoop loop)
    {
        if (Encoding.UTF8.GetByteCount(path) is 0 or > OwnPaths.MaxSocketPathBytes)
            throw new BackendException($"cannot connect to {path}: a socket path has 1 to {OwnPaths.MaxSocketPathBytes} bytes");
        Path = path;
        _loop = loop;
        _address = PathEntry.SocketAddress(path);
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
        if (TryConnect() is { } socket)
            _connected!(socket);
        else
            Open();
    }

    private FileDescriptor? TryConnect()
    {
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        if (fd < 0)
            return null;
        FileDescriptor file = new(fd);
        sockaddr_un address = _address;
        if (Libc.connect(fd, &address, (uint)sizeof(sockaddr_un)) == 0)
            return file;
        file.Dispose();
        return null;
    }
}
