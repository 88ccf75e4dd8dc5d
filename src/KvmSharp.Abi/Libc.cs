using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

/// <summary>
/// The C library and system calls the program uses. Each returns what the C function returns (-1 and errno on failure);
/// callers read errno with <see cref="Marshal.GetLastPInvokeError"/>. No logic lives here.
/// </summary>
public static unsafe partial class Libc
{
    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true)]
    public static partial int open(byte* path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "close", SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(Library, EntryPoint = "dup3", SetLastError = true)]
    public static partial int dup3(int oldFd, int newFd, int flags);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, nint argument);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint read(int fd, void* buffer, nuint count);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint write(int fd, void* buffer, nuint count);

    [LibraryImport(Library, EntryPoint = "pread", SetLastError = true)]
    public static partial nint pread(int fd, void* buffer, nuint count, long offset);

    [LibraryImport(Library, EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint pwrite(int fd, void* buffer, nuint count, long offset);

    [LibraryImport(Library, EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int ftruncate(int fd, long length);

    [LibraryImport(Library, EntryPoint = "mmap", SetLastError = true)]
    public static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport(Library, EntryPoint = "munmap", SetLastError = true)]
    public static partial int munmap(void* address, nuint length);

    [LibraryImport(Library, EntryPoint = "madvise", SetLastError = true)]
    public static partial int madvise(void* address, nuint length, int advice);

    [LibraryImport(Library, EntryPoint = "mlock", SetLastError = true)]
    public static partial int mlock(void* address, nuint length);

    [LibraryImport(Library, EntryPoint = "memfd_create", SetLastError = true)]
    public static partial int memfd_create(byte* name, uint flags);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int eventfd(uint initialValue, int flags);

    [LibraryImport(Library, EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int epoll_create1(int flags);

    [LibraryImport(Library, EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int epoll_ctl(int epoll, int operation, int fd, epoll_event* item);

    [LibraryImport(Library, EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int epoll_wait(int epoll, epoll_event* items, int capacity, int timeoutMs);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int poll(pollfd* items, nuint count, int timeoutMs);

    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    public static partial nint syscall(nint number, nint a, nint b, nint c, nint d, nint e, nint f);

    [LibraryImport(Library, EntryPoint = "getpid")]
    public static partial int getpid();

    [LibraryImport(Library, EntryPoint = "geteuid")]
    public static partial uint geteuid();

    [LibraryImport(Library, EntryPoint = "gettid")]
    public static partial int gettid();
}

/// <summary><c>struct pollfd</c>, poll.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct pollfd
{
    public int fd;
    public short events;
    public short revents;
}

/// <summary><c>struct epoll_event</c>, sys/epoll.h (packed on x86-64).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct epoll_event
{
    public uint events;
    public ulong data;
}
