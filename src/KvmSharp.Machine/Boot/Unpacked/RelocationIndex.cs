using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>
/// Where in each of the three sorted lists the relocations of a stretch of the kernel end, stretch by stretch: so what was just copied can be relocated while it is in
/// the processor's cache. A relocation belongs to the stretch that its first byte lies in.
/// </summary>
internal static class RelocationIndex
{
    /// <summary>Bytes of a stretch, from the start of the kernel: a fraction of the cache that a core has for itself, and of a piece of the load.</summary>
    internal const ulong StretchBytes = 256 << 10;

    /// <summary>How many stretches there are.</summary>
    internal static ulong Length(ulong span) => (span + StretchBytes - 1) / StretchBytes;

    /// <summary>For a kernel linked at this physical address whose lists are sorted.</summary>
    internal static RelocationCounts[] Make(ReadOnlySpan<uint> plain32, ReadOnlySpan<uint> inverse32, ReadOnlySpan<uint> plain64, ulong linkStart, ulong span)
    {
        var index = new RelocationCounts[Length(span)];
        int p32 = 0, i32 = 0, p64 = 0;
        for (int i = 0; i < index.Length; i++)
        {
            ulong end = (ulong)(i + 1) * StretchBytes;
            index[i] = new((uint)(p32 = End(plain32, p32, end)), (uint)(i32 = End(inverse32, i32, end)), (uint)(p64 = End(plain64, p64, end)));
        }

        return index;

        int End(ReadOnlySpan<uint> places, int from, ulong end)
        {
            while (from < places.Length && RelocationTable.OffsetOf(places[from], linkStart) < end)
                from++;
            return from;
        }
    }

    /// <summary>Whether it only grows, and ends with the ends of the lists.</summary>
    internal static bool IsSound(ReadOnlySpan<RelocationCounts> index, RelocationCounts all)
    {
        RelocationCounts last = default;
        foreach (RelocationCounts next in index)
        {
            if (next.Plain32 < last.Plain32 || next.Inverse32 < last.Inverse32 || next.Plain64 < last.Plain64)
                return false;
            last = next;
        }

        return last == all;
    }

    internal static Span<byte> Bytes(RelocationCounts[] index) => MemoryMarshal.AsBytes(index.AsSpan());
}
