using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Char;

/// <summary>A descriptor that is written without ever blocking for long, whatever its open mode is.</summary>
internal sealed unsafe class CharOutput(FileDescriptor descriptor, bool nonBlocking) : IDisposable
{
    // After POLLOUT a pipe takes at least this much at once (PIPE_BUF, limits.h).
    private const int PollFirstChunk = 512;

    public FileDescriptor Descriptor => descriptor;

    /// <summary>
    /// An output for a descriptor that others share, such as standard output. Its own flags are left alone, since O_NONBLOCK would
    /// change it for every process that holds it; a terminal or pipe is opened a second time instead where that is allowed.
    /// </summary>
    public static CharOutput ForShared(int fd)
    {
        var original = new FileDescriptor(DuplicateRaw(fd));
        // A seekable file shares its offset only through the original, and does not block.
        if (Libc.lseek(fd, 0, LibcConstants.SEEK_CUR) >= 0)
            return new CharOutput(original, nonBlocking: true);
        try
        {
            FileDescriptor reopened = FileDescriptor.Open($"/proc/self/fd/{fd}", LibcConstants.O_WRONLY | LibcConstants.O_NONBLOCK | LibcConstants.O_NOCTTY);
            original.Dispose();
            return new CharOutput(reopened, nonBlocking: true);
        }
        catch (LinuxException)
        {
            return new CharOutput(original, nonBlocking: false);
        }
    }

    /// <summary>Writes what is taken at once. Returns the count, 0 if nothing can be taken now, or -errno when the other end is gone.</summary>
    public int Write(ReadOnlySpan<byte> data)
    {
        if (!nonBlocking)
        {
            if (!Wait(0))
                return 0;
            data = data[..Math.Min(data.Length, PollFirstChunk)];
        }

        while (true)
        {
            nint written;
            // SAFETY: the span is pinned for the call and its length is passed.
            fixed (byte* p = data)
                written = Libc.write(descriptor.Value, p, (nuint)data.Length);
            if (written >= 0)
                return (int)written;
            int errno = Marshal.GetLastPInvokeError();
            if (errno == LibcConstants.EINTR)
                continue;
            return errno == LibcConstants.EAGAIN ? 0 : -errno;
        }
    }

    /// <summary>Waits until it can be written, or is gone; false after <paramref name="timeoutMs"/>.</summary>
    public bool Wait(int timeoutMs)
    {
        pollfd item = new() { fd = descriptor.Value, events = LibcConstants.POLLOUT };
        return Libc.poll(&item, 1, timeoutMs) > 0;
    }

    public void Dispose() => descriptor.Dispose();

    private static int DuplicateRaw(int fd)
    {
        int copy = Libc.fcntl(fd, LibcConstants.F_DUPFD_CLOEXEC, 3);
        return copy >= 0 ? copy : throw LinuxException.FromLastError($"duplicate descriptor {fd}");
    }
}
