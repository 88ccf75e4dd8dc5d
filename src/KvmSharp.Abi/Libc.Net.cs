using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    /// <param name="vectors">Array of <c>struct iovec</c>.</param>
    [LibraryImport(Library, EntryPoint = "readv", SetLastError = true)]
    public static partial nint readv(int fd, void* vectors, int count);

    /// <param name="vectors">Array of <c>struct iovec</c>.</param>
    [LibraryImport(Library, EntryPoint = "writev", SetLastError = true)]
    public static partial nint writev(int fd, void* vectors, int count);

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);
}
