using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class NativeShims
{
    /// <summary>
    /// From now on a SIGBUS of an access to memory (a mapped file that became shorter, no huge page left) puts a guarded terminal back, says so in one line
    /// and ends the process with <paramref name="status"/>, unless the memory is lent (<see cref="kvmsharp_memory_lent_add"/>). Returns 0, or -errno.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_memory_fault_init")]
    public static partial int kvmsharp_memory_fault_init(int status);

    /// <summary>
    /// The range, whole pages of a mapping, is lent by another process: when it is taken away, an access finds zeros and signals the eventfd
    /// <paramref name="eventfd"/>, which must be non-blocking and stay open. Only with <see cref="kvmsharp_memory_fault_init"/>. Any thread. Returns a slot, or -ENOSPC.
    /// </summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_memory_lent_add")]
    public static partial int kvmsharp_memory_lent_add(void* start, nuint length, int eventfd);

    /// <summary>Before the mapping of the slot goes, when nobody accesses it any more. Any thread.</summary>
    [LibraryImport(Library, EntryPoint = "kvmsharp_memory_lent_remove")]
    public static partial void kvmsharp_memory_lent_remove(int slot);
}
