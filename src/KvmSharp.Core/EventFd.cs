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

    /// <summary>What a loop that sees a signal calls it in a trace; no name: nothing.</summary>
    public TraceName TraceName { get; init; }

    /// <summary>Adds one to the counter, waking whoever waits. A full counter is already a pending event, so it is not an error.</summary>
    public void Signal()
    {
        ulong one = 1;
        _ = Libc.write(Value, &one, sizeof(ulong));
    }

    /// <summary>Sets the counter to zero; true if it was not zero.</summary>
    public bool Drain()
    {
        ulong count;
        return Libc.read(Value, &count, sizeof(ulong)) == sizeof(ulong);
    }

    private static int Create()
    {
        int fd = Libc.eventfd(0, LibcConstants.EFD_CLOEXEC | LibcConstants.EFD_NONBLOCK);
        return fd >= 0 ? fd : throw LinuxException.FromLastError("eventfd");
    }
}
