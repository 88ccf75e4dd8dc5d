using System.Runtime.InteropServices;
using System.Text;
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
        if (!TryStat(path, out statx found))
            return;
        if ((found.stx_mode & LibcConstants.S_IFMT) != LibcConstants.S_IFSOCK)
            throw new BackendException($"cannot listen on {path}: it exists and is not a socket");
        using FileDescriptor probe = Create();
        sockaddr_un address = Address(path);
        if (Libc.connect(probe.Value, &address, (uint)sizeof(sockaddr_un)) == 0 || Marshal.GetLastPInvokeError() != LibcConstants.ECONNREFUSED)
            throw new BackendException($"cannot listen on {path}: another process listens there");
        Unlink(path);
    }

    private static sockaddr_un Address(string path)
    {
        sockaddr_un address = new() { sun_family = LibcConstants.AF_UNIX };
        int length = Encoding.UTF8.GetByteCount(path);
        if (length is 0 or > OwnPaths.MaxSocketPathBytes)
            throw new BackendException($"cannot listen on {path}: a socket path has 1 to {OwnPaths.MaxSocketPathBytes} bytes");
        // SAFETY: length is below sun_path's 108 bytes, the last of which stays 0.
        Encoding.UTF8.GetBytes(path, new Span<byte>(address.sun_path, OwnPaths.MaxSocketPathBytes));
        return address;
    }

    private static bool TryStat(string path, out statx result)
    {
        statx read = default;
        bool ok;
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            ok = Libc.statx(LibcConstants.AT_FDCWD, p, LibcConstants.AT_SYMLINK_NOFOLLOW, LibcConstants.STATX_BASIC_STATS, &read) == 0;
        result = read;
        return ok;
    }

    private static void Unlink(string path)
    {
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            _ = Libc.unlink(p);
    }
}
