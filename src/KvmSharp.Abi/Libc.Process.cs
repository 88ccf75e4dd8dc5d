using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "signal", SetLastError = true)]
    public static partial nint signal(int number, nint handler);

    [LibraryImport(Library, EntryPoint = "link", SetLastError = true)]
    public static partial int link(byte* existing, byte* added);

    [LibraryImport(Library, EntryPoint = "access", SetLastError = true)]
    public static partial int access(byte* path, int mode);

    [LibraryImport(Library, EntryPoint = "unshare", SetLastError = true)]
    public static partial int unshare(int flags);

    [LibraryImport(Library, EntryPoint = "prctl", SetLastError = true)]
    public static partial int prctl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);
}
