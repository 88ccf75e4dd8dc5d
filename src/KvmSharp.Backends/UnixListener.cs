using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Backends;

/// <summary>A unix stream socket that listens. Its file takes the place of one that nobody listens on any more, and is removed at the end if it is still ours.</summary>
public sealed unsafe class UnixListener : IDisposable
{
    private readonly IDisposable _kept;

    /// <summary>Throws <see cref="BackendException"/> if the path is taken by something that is not a stale socket, or cannot be bound.</summary>
    /// <param name="path">Where it listens.</param>
    /// <param name="paths">Who removes the socket at the end; null: this program itself.</param>
    public UnixListener(string path, IHostPaths? paths = null)
    {
        Path = path;
        RemoveStale(path);
        File = Create();
        sockaddr_un address = Address(path);
        if (Libc.bind(File.Value, &address, (uint)sizeof(sockaddr_un)) != 0 || Libc.listen(File.Value, 1) != 0)
        {
            string cause = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
            File.Dispose();
            throw new BackendException($"cannot listen on {path}: {cause}");
        }

        try
        {
            _kept = (paths ?? OwnPaths.Instance).Keep(path);
        }
        catch (LinuxException e)
        {
            File.Dispose();
            throw new BackendException($"cannot listen on {path}: {e.Message}", e);
        }
    }

    public string Path { get; }

    /// <summary>Non-blocking; readable while somebody waits to be accepted.</summary>
    public FileDescriptor File { get; }

    /// <summary>Whoever waits, non-blocking; null if there is nobody (any more).</summary>
    public FileDescriptor? TryAccept()
    {
        int fd = Libc.accept4(File.Value, null, null, LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK);
        return fd >= 0 ? new FileDescriptor(fd) : null;
    }

    public void Dispose()
    {
        if (File.IsClosed)
            return;
        File.Dispose();
        _kept.Dispose();
    }

    private static FileDescriptor Create()
    {
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        return fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("socket");
    }

    private static void RemoveStale(string path)
    {
        if (!PathEntry.TryStat(path, out statx found))
            return;
        if ((found.stx_mode & LibcConstants.S_IFMT) != LibcConstants.S_IFSOCK)
            throw new BackendException($"cannot listen on {path}: it exists and is not a socket");
        using FileDescriptor probe = Create();
        sockaddr_un address = Address(path);
        if (Libc.connect(probe.Value, &address, (uint)sizeof(sockaddr_un)) == 0 || Marshal.GetLastPInvokeError() != LibcConstants.ECONNREFUSED)
            throw new BackendException($"cannot listen on {path}: another process listens there");
        PathEntry.Remove(path);
    }

    private static sockaddr_un Address(string path)
    {
        SocketPath.Check(path, "listen on");
        return PathEntry.SocketAddress(path);
    }
}
