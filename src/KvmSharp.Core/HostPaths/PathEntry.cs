using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;

namespace KvmSharp.Core.HostPaths;

/// <summary>What a path itself names; a symbolic link is not followed.</summary>
public static unsafe class PathEntry
{
    /// <summary>statx(2); false, with errno set, if there is nothing or it may not be looked at.</summary>
    public static bool TryStat(string path, out statx stat)
    {
        statx read = default;
        bool ok;
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            ok = Libc.statx(LibcConstants.AT_FDCWD, p, LibcConstants.AT_SYMLINK_NOFOLLOW, LibcConstants.STATX_BASIC_STATS, &read) == 0;
        stat = read;
        return ok;
    }

    /// <summary>Removes it if that can be.</summary>
    public static void Remove(string path)
    {
        fixed (byte* p = Encoding.UTF8.GetBytes(path + '\0'))
            _ = Libc.unlink(p);
    }

    /// <summary>A stream socket that is connected to whoever listens at this path, non-blocking; null, with errno set, if that cannot be had at once.</summary>
    public static FileDescriptor? TryConnect(string path)
    {
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        if (fd < 0)
            return null;
        FileDescriptor socket = new(fd);
        sockaddr_un address = SocketAddress(path);
        // Without waiting: whoever listens and never accepts must not hold us.
        if (Libc.connect(fd, &address, (uint)sizeof(sockaddr_un)) == 0)
            return socket;
        int errno = Marshal.GetLastPInvokeError();
        socket.Dispose();
        Marshal.SetLastPInvokeError(errno);
        return null;
    }

    /// <summary>The address of a unix socket at this path, of 1 to <see cref="OwnPaths.MaxSocketPathBytes"/> bytes.</summary>
    public static sockaddr_un SocketAddress(string path)
    {
        sockaddr_un address = new() { sun_family = LibcConstants.AF_UNIX };
        // SAFETY: one byte less than sun_path's 108, the last of which stays 0; a longer path throws.
        Encoding.UTF8.GetBytes(path, new Span<byte>(address.sun_path, OwnPaths.MaxSocketPathBytes));
        return address;
    }
}
