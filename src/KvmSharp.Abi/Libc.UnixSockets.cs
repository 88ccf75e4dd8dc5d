using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int bind(int fd, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "connect", SetLastError = true)]
    public static partial int connect(int fd, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "listen", SetLastError = true)]
    public static partial int listen(int fd, int backlog);

    [LibraryImport(Library, EntryPoint = "accept4", SetLastError = true)]
    public static partial int accept4(int fd, void* address, uint* length, int flags);

    [LibraryImport(Library, EntryPoint = "unlink", SetLastError = true)]
    public static partial int unlink(byte* path);
}

/// <summary><c>struct sockaddr_un</c>, sys/un.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sockaddr_un
{
    public ushort sun_family;
    public fixed byte sun_path[108];
}
