using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>
/// Listens on a unix stream socket and serves one client at a time; the next one may connect when it leaves. Output without a client is
/// dropped. The socket file is removed at the end if it is still ours.
/// </summary>
public sealed unsafe class UnixSocketBackend : ICharBackend
{
    private readonly FileDescriptor _listener;
    private readonly CharPump _pump;
    private readonly (ulong Inode, uint Major, uint Minor) _identity;

    /// <summary>Throws <see cref="BackendException"/> if the path is taken by something that is not a stale socket, or cannot be bound.</summary>
    public UnixSocketBackend(string path)
    {
        Path = path;
        RemoveStale(path);
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        if (fd < 0)
            throw LinuxException.FromLastError("socket");
        _listener = new FileDescriptor(fd);
        sockaddr_un address = Address(path);
        if (Libc.bind(fd, &address, (uint)sizeof(sockaddr_un)) != 0 || Libc.listen(fd, 1) != 0)
        {
            string cause = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
            _listener.Dispose();
            throw new BackendException($"cannot listen on {path}: {cause}");
        }

        TryStat(path, out statx made);
        _identity = Identity(made);
        _pump = new CharPump("char-unix", null, null, _listener);
    }

    public string Path { get; }

    /// <summary>Bytes of output that nobody took.</summary>
    public long DroppedBytes => _pump.DroppedBytes;

    public bool IsConnected => _pump.IsConnected;

    public void Start(ICharFrontend frontend) => _pump.Start(frontend);

    public void Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    public int TryWrite(ReadOnlySpan<byte> data) => _pump.TryWrite(data);

    public void OnFrontendReady() => _pump.OnFrontendReady();

    public void Dispose()
    {
        _pump.Dispose();
        _listener.Dispose();
        if (TryStat(Path, out statx now) && Identity(now) == _identity)
            Unlink(Path);
    }

    private static void RemoveStale(string path)
    {
        if (!TryStat(path, out statx found))
            return;
        if ((found.stx_mode & LibcConstants.S_IFMT) != LibcConstants.S_IFSOCK)
            throw new BackendException($"cannot listen on {path}: it exists and is not a socket");
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        if (fd < 0)
            throw LinuxException.FromLastError("socket");
        using var probe = new FileDescriptor(fd);
        sockaddr_un address = Address(path);
        if (Libc.connect(fd, &address, (uint)sizeof(sockaddr_un)) == 0 || Marshal.GetLastPInvokeError() != LibcConstants.ECONNREFUSED)
            throw new BackendException($"cannot listen on {path}: another process listens there");
        Unlink(path);
    }

    private static sockaddr_un Address(string path)
    {
        sockaddr_un address = new() { sun_family = LibcConstants.AF_UNIX };
        int length = Encoding.UTF8.GetByteCount(path);
        if (length is 0 or > 107)
            throw new BackendException($"cannot listen on {path}: a socket path has 1 to 107 bytes");
        // SAFETY: length is below sun_path's 108 bytes, the last of which stays 0.
        Encoding.UTF8.GetBytes(path, new Span<byte>(address.sun_path, 107));
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

    private static (ulong Inode, uint Major, uint Minor) Identity(in statx stat) => (stat.stx_ino, stat.stx_dev_major, stat.stx_dev_minor);

    private static void Unlink(string path)
    {
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            _ = Libc.unlink(p);
    }
}
