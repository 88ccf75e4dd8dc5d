using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>Where back ends come from, one after the other: a path at which they listen, or our own, at which they connect.</summary>
internal sealed class VhostUserEndpoint : IDisposable
{
    /// <summary>Between looks at whether somebody wants us to stop.</summary>
    private const int PatienceMs = 100;

    private readonly Func<FileDescriptor>? _connect;
    private readonly UnixListener? _listener;

    private VhostUserEndpoint(string path, Func<FileDescriptor>? connect, UnixListener? listener)
    {
        Path = path;
        _connect = connect;
        _listener = listener;
    }

    /// <summary>They listen at this path. Throws <see cref="BackendException"/> for one that cannot be.</summary>
    public static VhostUserEndpoint Connecting(string path, IHostPaths paths)
    {
        SocketPath.Check(path, "connect to");
        try
        {
            return new VhostUserEndpoint(path, paths.Connector(path), null);
        }
        catch (LinuxException error)
        {
            throw new BackendException($"cannot connect to {path}: {error.Message}", error);
        }
    }

    /// <summary>They connect to us. Throws <see cref="BackendException"/> if that path cannot be had.</summary>
    public static VhostUserEndpoint Listening(string path, IHostPaths paths) => new(path, null, new UnixListener(path, paths));

    public string Path { get; }

    /// <summary>Who is there now. Throws <see cref="LinuxException"/> if nobody is.</summary>
    public VhostUserSocket Open() => _listener is null ? VhostUserSocket.Connect(Path, _connect!) : VhostUserSocket.Accept(_listener);

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
