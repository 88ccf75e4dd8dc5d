using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>A kernel out of the cache, open. Its file is checked as a stranger's would be.</summary>
internal sealed unsafe class CachedKernel : IDisposable
{
    private const int RelocationsAtATime = 4096;

    private readonly BootFile _file;
    private readonly CachedKernelHeader _header;

    private CachedKernel(BootFile file, CachedKernelHeader header)
    {
        _file = file;
        _header = header;
    }

    /// <summary>Physical address that it is linked at: where it goes unless it is moved.</summary>
    internal ulong LinkStart => _header.LinkStart;

    /// <summary>Bytes of memory from its first to past its last.</summary>
    internal ulong Span => _header.Span;

    /// <summary>Whether its virtual address can be moved.</summary>
    internal bool IsRelocatable => _header.Relocations.Any;

    /// <summary>The 64-bit entry, from its start.</summary>
    internal ulong Entry => _header.Entry;

    /// <summary>Takes the file over if it is a sound one.</summary>
    internal static CachedKernel? TryOpen(BootFile file)
    {
        Span<CachedKernelHeader> header = stackalloc CachedKernelHeader[1];
        return file.TryRead(0, MemoryMarshal.AsBytes(header)) && header[0].IsSound(file.Length) ? new CachedKernel(file, header[0]) : null;
    }

    /// <summary>Copies it to physical address <paramref name="load"/>, where all is RAM, and moves what it refers to by <paramref name="delta"/>.</summary>
    internal void LoadTo(GuestMemory memory, ulong load, ulong delta, LoadHelper helper)
    {
        if (!memory.TryGetPointer(new(load), Span, out byte* host))
            throw _file.Error("does not fit the guest's memory");
        for (int i = 0; i < _header.SegmentCount; i++)
        {
            CachedSegment s = _header.Segments[i];
            _file.TryReadToGuest(memory, load + s.Offset, s.FileOffset, s.FileLength, helper);
        }

        if (delta != 0)
            Relocate(host, delta, helper);
    }

    public void Dispose() => _file.Dispose();

    private void Relocate(byte* kernel, ulong delta, LoadHelper helper)
    {
        RelocationCounts counts = _header.Relocations;
        ulong at = _header.RelocationsOffset;
        Share(counts.Plain32, places => Move32(Kernel(), places, (uint)delta));
        Share(counts.Inverse32, places => Move32(Kernel(), places, (uint)-(long)delta));
        Share(counts.Plain64, places => Move64(Kernel(), places, delta));

        Span<byte> Kernel() => new(kernel, (int)Span);

        void Share(uint count, Action<Span<uint>> move)
        {
            ulong from = at;
            at += (ulong)count * RelocationCounts.EntryLength;
            helper.Share(((ulong)count + RelocationsAtATime - 1) / RelocationsAtATime, Piece, Piece);

            void Piece(ulong index)
            {
                ulong first = index * RelocationsAtATime;
                Span<uint> places = stackalloc uint[RelocationsAtATime];
                places = places[..(int)Math.Min(count - first, RelocationsAtATime)];
                if (!_file.TryRead(from + (first * RelocationCounts.EntryLength), MemoryMarshal.AsBytes(places)))
                    throw Damaged();
                move(places);
            }
        }
    }

    private void Move32(Span<byte> kernel, ReadOnlySpan<uint> places, uint change)
    {
        foreach (uint place in places)
        {
            Span<byte> target = Target(kernel, place, sizeof(uint));
            BinaryPrimitives.WriteUInt32LittleEndian(target, BinaryPrimitives.ReadUInt32LittleEndian(target) + change);
        }
    }

    private void Move64(Span<byte> kernel, ReadOnlySpan<uint> places, ulong change)
    {
        foreach (uint place in places)
        {
            Span<byte> target = Target(kernel, place, sizeof(ulong));
            BinaryPrimitives.WriteUInt64LittleEndian(target, BinaryPrimitives.ReadUInt64LittleEndian(target) + change);
        }
    }

    private Span<byte> Target(Span<byte> kernel, uint place, int width)
    {
        ulong offset = RelocationTable.OffsetOf(place, LinkStart);
        return kernel.Length >= width && offset <= (ulong)(kernel.Length - width) ? kernel.Slice((int)offset, width) : throw Damaged();
    }

    private BootException Damaged() => _file.Error("is damaged; delete it, it is made again");
}
