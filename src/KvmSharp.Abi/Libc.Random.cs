using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport("libc", SetLastError = true)]
    public static partial nint getrandom(void* buf, nuint buflen, uint flags);
}
