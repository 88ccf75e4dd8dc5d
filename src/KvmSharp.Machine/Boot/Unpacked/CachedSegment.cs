using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>One loadable part of an unpacked kernel, as it stands in the cached file. All in bytes.</summary>
/// <param name="FileOffset">Where its contents are in the cached file.</param>
/// <param name="Offset">Where it goes, from the start of the kernel.</param>
/// <param name="FileLength">What the file holds of it.</param>
/// <param name="MemoryLength">What it occupies; the rest is zero.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct CachedSegment(ulong FileOffset, ulong Offset, ulong FileLength, ulong MemoryLength);
