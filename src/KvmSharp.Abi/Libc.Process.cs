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
}
