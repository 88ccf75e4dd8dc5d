using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi;
using Microsoft.Win32.SafeHandles;

namespace KvmSharp.Core;

/// <summary>
/// The one owner of a Linux file descriptor; always close-on-exec. Passing an fd to another owner means
/// <see cref="Duplicate"/>. A worker that uses the raw value takes one lease for its lifetime
/// (<see cref="SafeHandle.DangerousAddRef"/>).
/// </summary>
public unsafe class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <param name="fd">An open descriptor whose ownership passes to this object.</param>
    public FileDescriptor(int fd)
        : base(ownsHandle: true) => SetHandle(fd);

    /// <summary>The raw descriptor, valid while this object is alive and not disposed.</summary>
    public int Value => (int)handle;

    /// <summary>open(2) with O_CLOEXEC added. Throws <see cref="LinuxException"/> naming <paramref name="path"/>.</summary>
    public static FileDescriptor Open(string path, int flags, uint mode = 0)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* p = bytes)
        {
            int fd;
            do fd = Libc.open(p, flags | LibcConstants.O_CLOEXEC, mode);
            while (fd < 0 && Marshal.GetLastPInvokeError() == LibcConstants.EINTR);
            return fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError($"open {path}");
        }
    }

    /// <summary>
    /// Takes over a descriptor that the process was started with. Null if there is none of that number, or the process opened it
    /// itself: those are close-on-exec, and nothing that came over an exec is.
    /// </summary>
    public static FileDescriptor? TryInherit(int number)
    {
        int flags = Libc.fcntl(number, LibcConstants.F_GETFD, 0);
        if (flags < 0 || (flags & LibcConstants.FD_CLOEXEC) != 0)
            return null;
        return Libc.fcntl(number, LibcConstants.F_SETFD, flags | LibcConstants.FD_CLOEXEC) == 0
            ? new FileDescriptor(number)
            : throw LinuxException.FromLastError("fcntl F_SETFD");
    }

    /// <summary>statx(2), what it says of direct I/O included; false if the host refused.</summary>
    public bool TryStat(out statx stat)
    {
        statx result;
        byte empty = 0;
        bool ok = Libc.statx(Value, &empty, LibcConstants.AT_EMPTY_PATH, LibcConstants.STATX_BASIC_STATS | LibcConstants.STATX_DIOALIGN, &result) == 0;
        stat = result;
        return ok;
    }

    /// <summary>A new descriptor for the same open file, with its own owner.</summary>
    public FileDescriptor Duplicate()
    {
        int fd = Libc.fcntl(Value, LibcConstants.F_DUPFD_CLOEXEC, 0);
        return fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("fcntl F_DUPFD_CLOEXEC");
    }

    protected override bool ReleaseHandle() => Libc.close((int)handle) == 0;
}
