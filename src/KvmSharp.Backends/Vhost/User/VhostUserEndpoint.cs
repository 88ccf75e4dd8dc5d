using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>Where back ends come from, one after the other: a path at which they listen, or our own, at which they connect.</summary>
internal sealed class VhostUserEndpoint : IDisposable
{
    /// <summary>Between looks at whether somebody wants us to stop.</summary>
    private const int PatienceMs = 100;

    private readonly UnixListener? _listener;

    /// <param name="path">Of a unix socket.</param>
    /// <param name="listen">They connect to us. Throws <see cref="BackendException"/> if that path cannot be had.</param>
    public VhostUserEndpoint(string path, bool listen)
    {
        if (Encoding.UTF8.GetByteCount(path) is 0 or > 107)
            throw new BackendException($"cannot {(listen ? "listen on" : "connect to")} {path}: a socket path has 1 to 107 bytes");
        Path = path;
        _listener = listen ? new UnixListener(path) : null;
    }

    public string Path { get; }

    /// <summary>Who is there now. Throws <see cref="LinuxException"/> if nobody is.</summary>
    public VhostUserSocket Open() => _listener is null ? VhostUserSocket.Connect(Path) : VhostUserSocket.Accept(_listener);

    /// <summary>Returns when <see cref="Open"/> has somebody. Throws <see cref="OperationCanceledException"/>.</summary>
    public unsafe void Wait(CancellationToken stop)
    {
        if (_listener is null)
            return;
        pollfd item = new() { fd = _listener.File.Value, events = (short)LibcConstants.EPOLLIN };
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            int ready = Libc.poll(&item, 1, PatienceMs);
            if (ready > 0)
                return;
            if (ready < 0 && Marshal.GetLastPInvokeError() is var errno and not LibcConstants.EINTR)
                throw new LinuxException($"poll {Path}", errno);
        }
    }

    public void Dispose() => _listener?.Dispose();
}
