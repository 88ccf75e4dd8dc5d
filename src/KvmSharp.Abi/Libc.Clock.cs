using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "clock_gettime", SetLastError = true)]
    public static partial int clock_gettime(int clock, timespec* time);
}
