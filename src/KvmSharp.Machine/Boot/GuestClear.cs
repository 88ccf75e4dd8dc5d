using KvmSharp.Abi;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>Zeroes guest RAM without touching pages that are not there: whole pages are given back to the host.</summary>
internal static unsafe class GuestClear
{
    /// <summary>The caller has checked that the range is RAM.</summary>
    internal static void Clear(GuestMemory memory, ulong address, ulong length)
    {
        if (length == 0 || !memory.TryGetPointer(new(address), length, out byte* host))
            return;
        byte* end = host + length;
        byte* firstPage = (byte*)BootLayout.AlignUp((ulong)host, GuestMemory.PageSize);
        byte* lastPage = (byte*)BootLayout.AlignDown((ulong)end, GuestMemory.PageSize);

        // SAFETY: host..end was checked to be RAM; the page-aligned part lies within.
        if (firstPage < lastPage && Libc.madvise(firstPage, (nuint)(lastPage - firstPage), LibcConstants.MADV_REMOVE) == 0)
        {
            Zero(host, firstPage);
            Zero(lastPage, end);
            return;
        }

        Zero(host, end); // locked or huge pages cannot be given back
    }

    private static void Zero(byte* from, byte* to)
    {
        while (from < to)
        {
            int part = (int)Math.Min(to - from, 1 << 30);
            new Span<byte>(from, part).Clear();
            from += part;
        }
    }
}
