using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class NativeShims
{
    /// <summary>
    /// From now on a SIGBUS of an access to memory (a mapped file that became shorter, no huge page left) puts a guarded terminal back, says so in one line
    /// and ends the process with <paramref name="status"/>. Returns 0, or -errno.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_memory_fault_init")]
    public static partial int kvmsharp_memory_fault_init(int status);
}
