using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// The relocations that a Linux build appends to the kernel before it is compressed (arch/x86/tools/relocs.c): lists of 32-bit addresses, each behind
/// a zero: the 64-bit places, the inverse ones (not since Linux 6.15), the 32-bit ones.
/// </summary>
internal readonly ref struct RelocationTable
{
    private RelocationTable(ReadOnlySpan<uint> plain64, ReadOnlySpan<uint> inverse32, ReadOnlySpan<uint> plain32)
    {
        Plain64 = plain64;
        Inverse32 = inverse32;
        Plain32 = plain32;
    }

    internal ReadOnlySpan<uint> Plain64 { get; }

    internal ReadOnlySpan<uint> Inverse32 { get; }

    internal ReadOnlySpan<uint> Plain32 { get; }

    internal RelocationCounts Counts => new((uint)Plain32.Length, (uint)Inverse32.Length, (uint)Plain64.Length);

    /// <summary>Whether all lie in a kernel that is linked at this physical address and is so many bytes long.</summary>
    internal bool AllWithin(ulong linkStart, ulong span) =>
        AllWithin(Plain32, linkStart, span, sizeof(uint)) && AllWithin(Inverse32, linkStart, span, sizeof(uint)) && AllWithin(Plain64, linkStart, span, sizeof(ulong));

    /// <summary>Where a place lies from the start of the kernel; wraps for one before it.</summary>
    internal static ulong OffsetOf(uint place, ulong linkStart) => (KernelUnpacker.KernelMap | place) - KernelUnpacker.KernelMap - linkStart;

    /// <summary>Takes apart what follows the ELF file; nothing at all is a kernel that cannot be relocated. False for another form.</summary>
    internal static bool TryParse(ReadOnlySpan<byte> tail, out RelocationTable table)
    {
        table = default;
        if (tail.Length % RelocationCounts.EntryLength != 0)
            return false;
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(tail);
        if (words.IsEmpty)
            return true;
        if (words[0] != 0)
            return false;
        ReadOnlySpan<uint> first = words[1..];
        int second = first.IndexOf(0u);
        if (second < 0)
            return false;
        ReadOnlySpan<uint> rest = first[(second + 1)..];
        int third = rest.IndexOf(0u);
        ReadOnlySpan<uint> last = third < 0 ? rest : rest[(third + 1)..];
        if (last.IsEmpty || last.Contains(0u))
            return false;
        table = new RelocationTable(first[..second], third < 0 ? [] : rest[..third], last);
        return true;
    }

    private static bool AllWithin(ReadOnlySpan<uint> places, ulong linkStart, ulong span, uint width)
    {
        foreach (uint place in places)
        {
            if (span < width || OffsetOf(place, linkStart) > span - width)
                return false;
        }

        return true;
    }
}
