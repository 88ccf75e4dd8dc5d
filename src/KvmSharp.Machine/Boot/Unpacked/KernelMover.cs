using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Boot.Unpacked;

/// <summary>Moves what an unpacked kernel refers to by the distance that it lies from where it is linked, stretch by stretch, on any thread.</summary>
internal sealed unsafe class KernelMover
{
    /// <summary>Entries of a list that are read at a time, into a buffer of the caller's.</summary>
    internal const int PlacesAtATime = 4096;

    private readonly BootFile _file;
    private readonly CachedKernelHeader _header;
    private readonly RelocationCounts[] _index;
    private readonly byte* _kernel;
    private readonly ulong _delta;

    // Places that reach from one stretch into the next, which may not be there yet.
    private readonly List<(ulong Offset, int Width, ulong Change)> _straddling = [];

    /// <param name="file">The kernel of this header.</param>
    /// <param name="header">Checked before.</param>
    /// <param name="kernel">Where the kernel is: all its span is memory.</param>
    /// <param name="delta">In bytes; added.</param>
    internal KernelMover(BootFile file, in CachedKernelHeader header, byte* kernel, ulong delta)
    {
        _file = file;
        _header = header;
        _kernel = kernel;
        _delta = delta;
        _index = new RelocationCounts[RelocationIndex.Length(header.Span)];
        if (!file.TryRead(header.RelocationsOffset, RelocationIndex.Bytes(_index)) || !RelocationIndex.IsSound(_index, header.Relocations))
            throw Damaged();
    }

    /// <summary>Moves one stretch, which is copied. Each stretch once.</summary>
    /// <param name="stretch">From 0.</param>
    /// <param name="buffer">At least <see cref="PlacesAtATime"/>.</param>
    internal void Move(ulong stretch, Span<uint> buffer)
    {
        RelocationCounts from = stretch == 0 ? default : _index[stretch - 1], to = _index[stretch], all = _header.Relocations;
        ulong list = _header.RelocationsOffset + ((ulong)_index.Length * RelocationCounts.Length);
        Move(stretch, list, from.Plain32, to.Plain32, sizeof(uint), _delta, buffer);
        list += (ulong)all.Plain32 * RelocationCounts.EntryLength;
        Move(stretch, list, from.Inverse32, to.Inverse32, sizeof(uint), 0 - _delta, buffer);
        list += (ulong)all.Inverse32 * RelocationCounts.EntryLength;
        Move(stretch, list, from.Plain64, to.Plain64, sizeof(ulong), _delta, buffer);
    }

    /// <summary>The rest, after all stretches. One thread.</summary>
    internal void Finish()
    {
        Span<byte> kernel = new(_kernel, (int)_header.Span);
        foreach ((ulong offset, int width, ulong change) in _straddling)
        {
            Span<byte> target = kernel[(int)offset..];
            if (target.Length < width)
                throw Damaged();
            Add(target, width, change);
        }
    }

    private void Move(ulong stretch, ulong list, uint from, uint to, int width, ulong change, Span<uint> buffer)
    {
        ulong start = stretch * RelocationIndex.StretchBytes;
        Span<byte> bytes = new(_kernel + start, (int)Math.Min(RelocationIndex.StretchBytes, _header.Span - start));
        while (from < to)
        {
            Span<uint> places = buffer[..(int)Math.Min(to - from, PlacesAtATime)];
            if (!_file.TryRead(list + ((ulong)from * RelocationCounts.EntryLength), MemoryMarshal.AsBytes(places)))
                throw Damaged();
            foreach (uint place in places)
            {
                ulong offset = RelocationTable.OffsetOf(place, _header.LinkStart) - start; // wraps for one before
                if (offset >= (ulong)bytes.Length)
                    throw Damaged();
                Span<byte> target = bytes[(int)offset..];
                if (target.Length >= width)
                    Add(target, width, change);
                else
                    KeepForLater(start + offset, width, change);
            }

            from += (uint)places.Length;
        }
    }

    private static void Add(Span<byte> target, int width, ulong change)
    {
        if (width == sizeof(uint))
            BinaryPrimitives.WriteUInt32LittleEndian(target, BinaryPrimitives.ReadUInt32LittleEndian(target) + (uint)change);
        else
            BinaryPrimitives.WriteUInt64LittleEndian(target, BinaryPrimitives.ReadUInt64LittleEndian(target) + change);
    }

    private void KeepForLater(ulong offset, int width, ulong change)
    {
        lock (_straddling)
            _straddling.Add((offset, width, change));
    }

    private BootException Damaged() => _file.Error("is damaged; delete it, it is made again");
}
