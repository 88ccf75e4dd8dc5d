using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Core;

/// <summary>A non-blocking eventfd(2): the wire of kicks, calls, ioeventfd and irqfd. All members are thread-safe.</summary>
public sealed unsafe class EventFd : FileDescriptor
{
    public EventFd()
        : base(Create())
    {
    }

    /// <summary>Takes over an eventfd that another process made. It is made non-blocking, which that process may undo.</summary>
    /// <exception cref="LinuxException">It is none.</exception>
    public EventFd(FileDescriptor received)
        : base(TakeOver(received))
    {
    }

    /// <summary>What a loop that sees a signal calls it in a trace; no name: nothing.</summary>
    public TraceName TraceName { get; init; }

    /// <summary>Adds one to the counter, waking whoever waits. A full counter is already a pending event, so it is not an error.</summary>
    public void Signal() => _ = TrySignal();

    /// <summary>
    /// As <see cref="Signal"/>. False: the write blocked, for which another process must have made the eventfd blocking, until a signal interrupted it.
    /// </summary>
    public bool TrySignal()
    {
        ulong one = 1;
        return Libc.write(Value, &one, sizeof(ulong)) >= 0 || Marshal.GetLastPInvokeError() != LibcConstants.EINTR;
    }

    /// <summary>Sets the counter to zero; true if it was not zero.</summary>
    public bool Drain()
    {
        ulong count;
        return Libc.read(Value, &count, sizeof(ulong)) == sizeof(ulong);
    }

    private static int TakeOver(FileDescriptor received)
    {
        if (File.ResolveLinkTarget($"/proc/self/fd/{received.Value}", returnFinalTarget: false)?.Name != "anon_inode:[eventfd]")
            throw new LinuxException("take over an eventfd", LibcConstants.EINVAL);
        int flags = Libc.fcntl(received.Value, LibcConstants.F_GETFL, 0);
        if ((flags & LibcConstants.O_NONBLOCK) == 0)
            _ = Libc.fcntl(received.Value, LibcConstants.F_SETFL, flags | LibcConstants.O_NONBLOCK);
        int fd = received.Value;
        received.SetHandleAsInvalid();
        return fd;
    }

    private static int Create()
    {
        int fd = Libc.eventfd(0, LibcConstants.EFD_CLOEXEC | LibcConstants.EFD_NONBLOCK);
        return fd >= 0 ? fd : throw LinuxException.FromLastError("eventfd");
    }
}
