using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>How many relocations of each kind a kernel has; each is the low half of the virtual address it is linked at.</summary>
/// <param name="Plain32">Places of 4 bytes that grow with the address.</param>
/// <param name="Inverse32">Places of 4 bytes that shrink as it grows: references from the kernel to per-CPU variables.</param>
/// <param name="Plain64">Places of 8 bytes that grow.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct RelocationCounts(uint Plain32, uint Inverse32, uint Plain64)
{
    /// <summary>Of an entry of a list, in bytes.</summary>
    internal const int EntryLength = sizeof(uint);

    /// <summary>Of these counts, in bytes.</summary>
    internal const int Length = 3 * sizeof(uint);

    internal bool Any => Plain32 != 0;

    internal ulong LengthBytes => ((ulong)Plain32 + Inverse32 + Plain64) * EntryLength;
}
