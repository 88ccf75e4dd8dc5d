using KvmSharp.Abi;
using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve;

/// <summary>Takes in who connects to a socket, while it is open to them; who comes otherwise waits. Owns the socket. Loop thread, but for construction and <see cref="Start"/>.</summary>
internal sealed class SocketAcceptor(UnixListener listener, EventLoop loop) : IFrontEndSource, IEventSink
{
    private const uint AcceptCookie = 0, OpenCookie = 1;

    private Action<FileDescriptor>? _accepted;
    private EventToken _token;
    private EventTimer? _timer;
    private bool _open;
    private bool _disposed;

    public string Path => listener.Path;

    public void Start(Action<FileDescriptor> connected)
    {
        _accepted = connected;
        loop.Post(this, OpenCookie);
    }

    public void Open()
    {
        if (_open || _disposed)
            return;
        _open = true;
        _token = loop.Register(listener.File, LibcConstants.EPOLLIN, this, AcceptCookie);
    }

    public void OpenAfter(long delayNs)
    {
        if (_disposed)
            return;
        _timer ??= new EventTimer(loop, this, OpenCookie);
        _timer.Arm(delayNs);
    }

    public void Close()
    {
        if (!_open)
            return;
        _open = false;
        loop.Unregister(_token);
    }

    public void Dispose()
    {
        Close();
        _disposed = true;
        _timer?.Dispose();
        listener.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == OpenCookie)
            Open();
        else if (_open && listener.TryAccept() is { } socket)
            _accepted!(socket);
    }
}
