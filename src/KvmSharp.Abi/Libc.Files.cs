using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "lseek", SetLastError = true)]
    public static partial long lseek(int fd, long offset, int whence);

    [LibraryImport(Library, EntryPoint = "sendfile", SetLastError = true)]
    public static partial nint sendfile(int to, int from, long* offset, nuint count);
}
