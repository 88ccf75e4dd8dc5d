using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// The first bytes of a cached kernel: what its ELF headers and relocation table said. The segments follow, each from a page boundary, then
/// the index of the relocations and their lists, sorted: 32-bit, inverse, 64-bit.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CachedKernelHeader
{
    internal const int MaxSegments = 8;

    /// <summary>KERNEL_IMAGE_SIZE (arch/x86/include/asm/page_64_types.h): the room for the kernel in the virtual address space.</summary>
    internal const ulong MaxSpan = 1UL << 30;

    private const ulong ExpectedMagic = 0x3245_4C49_4E52_4B4B; // "KKRNILE2": changes with the layout

    private ulong _magic;

    /// <summary>Physical address that the kernel is linked at.</summary>
    internal ulong LinkStart;

    /// <summary>From the first to past the last byte in memory.</summary>
    internal ulong Span;

    /// <summary>The 64-bit entry, from the start of the kernel.</summary>
    internal ulong Entry;

    internal ulong RelocationsOffset;
    internal RelocationCounts Relocations;
    internal int SegmentCount;
    internal SegmentTable Segments;

    /// <summary>Whether a kernel linked at this physical address lies in the virtual room that any kernel has.</summary>
    internal static bool HasRoom(ulong linkStart, ulong span) => span is > 0 and <= MaxSpan && linkStart <= MaxSpan - span;

    internal void Sign() => _magic = ExpectedMagic;

    /// <summary>Whether everything it says lies within a file of <paramref name="fileLength"/> bytes and within itself.</summary>
    internal readonly bool IsSound(ulong fileLength)
    {
        if (_magic != ExpectedMagic || SegmentCount is < 1 or > MaxSegments || !HasRoom(LinkStart, Span) || Entry >= Span)
            return false;
        if (RelocationsOffset > fileLength || Relocations.LengthBytes + (RelocationIndex.Length(Span) * RelocationCounts.Length) > fileLength - RelocationsOffset)
            return false;
        for (int i = 0; i < SegmentCount; i++)
        {
            CachedSegment s = Segments[i];
            if (s.MemoryLength > Span || s.Offset > Span - s.MemoryLength || s.FileLength > s.MemoryLength)
                return false;
            if (s.FileOffset > fileLength || s.FileLength > fileLength - s.FileOffset)
                return false;
        }

        return true;
    }

    [InlineArray(MaxSegments)]
    internal struct SegmentTable
    {
        private CachedSegment _first;
    }
}
