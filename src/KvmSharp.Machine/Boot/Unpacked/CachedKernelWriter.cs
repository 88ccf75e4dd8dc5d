using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>Writes the file that <see cref="CachedKernel"/> reads: <see cref="Begin"/>, each segment, <see cref="Finish"/>.</summary>
/// <param name="file">Empty; stays the caller's.</param>
internal sealed class CachedKernelWriter(FileStream file)
{
    private CachedKernelHeader _header;

    internal void Begin(ulong linkStart, ulong span, ulong entry)
    {
        _header = new CachedKernelHeader { LinkStart = linkStart, Span = span, Entry = entry };
        file.Position = (long)GuestMemory.PageSize; // the header's page
    }

    /// <param name="offset">From the start of the kernel, in bytes.</param>
    /// <param name="contents">What zeros are at its end, as the whole of .bss, are not stored.</param>
    /// <param name="memoryLength">In bytes, at least as many as the contents.</param>
    internal void Add(ulong offset, ReadOnlySpan<byte> contents, ulong memoryLength)
    {
        int length = contents.LastIndexOfAnyExcept((byte)0) + 1;
        _header.Segments[_header.SegmentCount++] = new CachedSegment((ulong)file.Position, offset, (ulong)length, memoryLength);
        file.Write(contents[..length]);
        file.Position = (long)BootLayout.AlignUp((ulong)file.Position, GuestMemory.PageSize);
    }

    internal void Finish(RelocationTable relocations)
    {
        _header.RelocationsOffset = (ulong)file.Position;
        _header.Relocations = relocations.Counts;
        uint[] plain32 = Sorted(relocations.Plain32), inverse32 = Sorted(relocations.Inverse32), plain64 = Sorted(relocations.Plain64);
        file.Write(RelocationIndex.Bytes(RelocationIndex.Make(plain32, inverse32, plain64, _header.LinkStart, _header.Span)));
        file.Write(MemoryMarshal.AsBytes(plain32.AsSpan()));
        file.Write(MemoryMarshal.AsBytes(inverse32.AsSpan()));
        file.Write(MemoryMarshal.AsBytes(plain64.AsSpan()));
        file.Position = 0;
        _header.Sign();
        file.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<CachedKernelHeader>(in _header)));
    }

    private static uint[] Sorted(ReadOnlySpan<uint> places)
    {
        uint[] sorted = places.ToArray();
        Array.Sort(sorted);
        return sorted;
    }
}
