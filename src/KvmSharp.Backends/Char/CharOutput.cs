using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Char;

/// <summary>A descriptor that is written without ever blocking for long, whatever its open mode is.</summary>
internal sealed class CharOutput(FileDescriptor descriptor, bool nonBlocking, CharCalls? calls = null) : IDisposable
{
    // After POLLOUT a pipe takes at least this much at once (PIPE_BUF, limits.h).
    private const int PollFirstChunk = 512;

    /// <summary>EINTR in a row; then the caller may wait for a better time.</summary>
    private const int MaxInterruptions = 64;

    private readonly CharCalls _calls = calls ?? CharCalls.Host;

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

    /// <summary>Whether the -errno of <see cref="Write"/> is about these bytes only: a file system that is full or fails, which may take the next ones.</summary>
    public static bool IsPassing(int error) => -error is LibcConstants.ENOSPC or LibcConstants.EDQUOT or LibcConstants.EFBIG or LibcConstants.EIO;

    /// <summary>Writes what is taken at once. Returns the count, 0 if nothing can be taken now, or -errno when these bytes never will be.</summary>
    public int Write(ReadOnlySpan<byte> data)
    {
        if (!nonBlocking)
        {
            if (!Wait(0))
                return 0;
            data = data[..Math.Min(data.Length, PollFirstChunk)];
        }

        for (int i = 0; i < MaxInterruptions; i++)
        {
            int written = _calls.Write(descriptor.Value, data);
            if (written != -LibcConstants.EINTR)
                return -written is LibcConstants.EAGAIN or LibcConstants.ENOMEM or LibcConstants.ENOBUFS ? 0 : written;
        }

        return 0;
    }

    /// <summary>Waits until it can be written, or is gone; false after <paramref name="timeoutMs"/>.</summary>
    public bool Wait(int timeoutMs)
    {
        long end = Environment.TickCount64 + timeoutMs;
        while (true)
        {
            pollfd item = new() { fd = descriptor.Value, events = LibcConstants.POLLOUT };
            int ready = _calls.Poll(new Span<pollfd>(ref item), timeoutMs);
            if (ready != -LibcConstants.EINTR)
                return ready > 0;
            timeoutMs = (int)(end - Environment.TickCount64);
            if (timeoutMs <= 0)
                return false;
        }
    }

    public void Dispose() => descriptor.Dispose();

    private static int DuplicateRaw(int fd)
    {
        int copy = Libc.fcntl(fd, LibcConstants.F_DUPFD_CLOEXEC, 3);
        return copy >= 0 ? copy : throw LinuxException.FromLastError($"duplicate descriptor {fd}");
    }
}
