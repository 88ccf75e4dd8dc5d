using System.Runtime.InteropServices;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Notes which chains of a packed virtqueue are in flight, in the layout of "In-flight I/O tracking, for packed virtqueue" of the vhost-user protocol. Used
/// descriptors overwrite those of chains that are still in flight, so descriptors are kept too. Which of a ring's entries were published last is told
/// by the USED bit of the first of them, whose owner changes it once a lap.
/// </summary>
internal sealed unsafe class PackedInFlight
{
    private const ushort Version = 1;
    private const ushort WrapBit = 0x8000;

    private readonly Header* _header;
    private readonly Entry* _entries;
    private readonly ushort _size;
    private readonly ReplayOrder _replay;

    /// <summary>Entries that are free, linked; the size of the queue ends it. The region's own links are for others and not read.</summary>
    private readonly ushort[] _next;

    /// <summary>By slot of the token: the first of the chain's entries.</summary>
    private readonly ushort[] _entryOf;
    private readonly ushort[] _batch;
    private int _batchCount;
    private ushort _free;
    private ulong _counter;

    private PackedInFlight(InFlightRegion region, ushort size, ReplayOrder replay, ushort[] next, ushort free)
    {
        _header = (Header*)region.Start;
        _entries = (Entry*)(region.Start + sizeof(Header));
        _size = size;
        _replay = replay;
        _next = next;
        _free = free;
        _entryOf = new ushort[size];
        _batch = new ushort[size];
        _counter = replay.NextCounter;
    }

    /// <inheritdoc cref="SplitInFlight.HasReplays"/>
    public bool HasReplays => _replay.Count > 0;

    /// <inheritdoc cref="SplitInFlight.Open"/>
    /// <param name="descriptors">The descriptor ring.</param>
    public static PackedInFlight Open(InFlightRegion region, ushort size, byte* descriptors, ref VirtQueueState state)
    {
        // SAFETY: as for split.
        var header = (Header*)region.Start;
        var entries = (Entry*)(region.Start + sizeof(Header));
        var replay = new ReplayOrder(size);
        bool known = header->Version == Version && header->DescriptorCount == size && header->UsedIndex < size && header->OldUsedIndex < size;
        if (!known)
        {
            NativeMemory.Clear(entries, (nuint)size * (nuint)sizeof(Entry));
            *header = new Header { Version = Version, DescriptorCount = size };
        }
        else
        {
            FinishLastBatch(header, entries, size, descriptors);
        }

        int inFlight = 0;
        bool[] taken = new bool[size];
        for (ushort first = 0; first < size; first++)
        {
            if (entries[first].InFlight == 0 || !TryClaim(entries, first, size, taken))
                continue;
            inFlight += entries[first].Count;
            replay.Add(first, entries[first].Counter);
        }

        if (known)
            state = new VirtQueueState(Advance(header->OldCursor, inFlight, size), header->OldCursor);
        (header->UsedIndex, header->UsedWrap) = (header->OldUsedIndex, header->OldUsedWrap) = Split(state.UsedCursor);
        replay.Sort();
        ushort[] next = Link(taken, entries, out ushort free);
        header->FreeHead = header->OldFreeHead = free;
        return new PackedInFlight(region, size, replay, next, free);
    }

    public bool TryTakeReplay(out ushort entry) => _replay.TryTake(out entry);

    /// <summary>The descriptors of a chain that an earlier process took: one, and where the next one is.</summary>
    public void Read(ref ushort entry, out ulong address, out uint length, out ushort flags, out ushort id)
    {
        Entry copy = _entries[entry];
        (address, length, flags, id) = (copy.Address, copy.Length, copy.Flags, copy.Id);
        entry = _next[entry];
    }

    /// <summary>How many descriptors the chain has that begins with this entry.</summary>
    public ushort CountOf(ushort first)
    {
        ushort count = 1;
        for (ushort entry = first; _next[entry] < _size && count < _size; entry = _next[entry])
            count++;
        return count;
    }

    /// <summary>The chain goes by this slot from now on.</summary>
    public void Bind(ushort slot, ushort first) => _entryOf[slot] = first;

    /// <summary>A chain was popped that occupies so many entries of the ring from a position on. False: more than the ring has are not published yet.</summary>
    public bool TryTake(byte* descriptors, uint position, ushort count, out ushort first)
    {
        first = _free;
        ushort last = first;
        for (uint i = 0; i < count; i++)
        {
            // An honest driver waits until it sees what it may use again, and until then there is an entry for each of the ring.
            if (_free >= _size)
                return false;
            last = _free;
            _free = _next[_free];
            // SAFETY: the position is one of the ring's, and entries are below its size.
            RawDescriptor descriptor = RawDescriptor.Read(descriptors + 16 * ((position + i) % _size));
            ref Entry entry = ref _entries[last];
            (entry.Address, entry.Length, entry.Flags, entry.Id) = (descriptor.Address, descriptor.Length, descriptor.High, descriptor.Low);
        }

        _next[last] = _size;
        ref Entry head = ref _entries[first];
        head.Last = last;
        head.Count = count;
        head.Counter = _counter++;
        _header->OldFreeHead = _free;
        // While a batch is staged this is where it begins.
        if (_batchCount == 0)
            _header->FreeHead = _free;
        Volatile.Write(ref head.InFlight, 1);
        return true;
    }

    /// <summary>A chain is in the ring as used, the driver does not see it yet.</summary>
    public void Stage(ushort slot)
    {
        ushort first = _entryOf[slot];
        _entries[_entries[first].Last < _size ? _entries[first].Last : first].Next = _header->FreeHead;
        _header->FreeHead = first;
        _batch[_batchCount++] = first;
    }

    /// <summary>What is staged is about to be published.</summary>
    public void Prepare(ushort usedCursor)
    {
        (ushort index, byte wrap) = Split(usedCursor);
        _header->UsedWrap = wrap;
        Volatile.Write(ref _header->UsedIndex, index);
    }

    /// <summary>What is staged was published.</summary>
    public void Commit()
    {
        for (int i = 0; i < _batchCount; i++)
            Volatile.Write(ref _entries[_batch[i]].InFlight, 0);
        _header->OldUsedWrap = _header->UsedWrap;
        Volatile.Write(ref _header->OldUsedIndex, _header->UsedIndex);
        for (int i = 0; i < _batchCount; i++)
            Free(_batch[i]);
        _batchCount = 0;
        _header->FreeHead = _header->OldFreeHead = _free;
    }

    /// <summary>The last batch was staged; if it was published too, its chains are not in flight.</summary>
    private static void FinishLastBatch(Header* header, Entry* entries, ushort size, byte* descriptors)
    {
        if (header->Cursor == header->OldCursor)
            return;
        ushort flags = Volatile.Read(ref *(ushort*)(descriptors + 16 * header->OldUsedIndex + 14));
        bool published = ((flags & 1 << Abi.Virtio.VirtioRing.VRING_PACKED_DESC_F_USED) != 0) == (header->OldUsedWrap != 0);
        if (!published)
            return;
        int staged = Distance(header->OldCursor, header->Cursor, size);
        ushort first = header->FreeHead;
        while (staged > 0 && first < size && entries[first].Count > 0)
        {
            staged -= entries[first].Count;
            entries[first].InFlight = 0;
            first = entries[first].Last < size ? entries[entries[first].Last].Next : size;
        }

        (header->OldUsedIndex, header->OldUsedWrap) = (header->UsedIndex, header->UsedWrap);
    }

    /// <summary>Marks a chain's entries. False if it is none: one of them is another chain's, or the links lead nowhere.</summary>
    private static bool TryClaim(Entry* entries, ushort first, ushort size, bool[] taken)
    {
        ushort count = entries[first].Count, at = first;
        if (count == 0 || count > size)
            return Drop(entries, first);
        for (int i = 0; i < count; i++)
        {
            if (at >= size || taken[at])
                return Drop(entries, first);
            taken[at] = true;
            at = entries[at].Next;
        }

        return true;
    }

    private static bool Drop(Entry* entries, ushort first)
    {
        entries[first].InFlight = 0;
        return false;
    }

    /// <summary>Links each chain's entries, and what is free.</summary>
    private static ushort[] Link(bool[] taken, Entry* entries, out ushort free)
    {
        ushort size = (ushort)taken.Length;
        ushort[] next = new ushort[size];
        free = size;
        for (ushort i = 0; i < size; i++)
            next[i] = size;
        for (ushort first = 0; first < size; first++)
        {
            ushort at = first;
            for (int left = taken[first] && entries[first].InFlight != 0 ? entries[first].Count : 0; left > 1 && entries[at].Next < size; left--)
                at = next[at] = entries[at].Next;
        }

        for (int i = size - 1; i >= 0; i--)
        {
            if (taken[i])
                continue;
            entries[i].Next = next[i] = free;
            free = (ushort)i;
        }

        return next;
    }

    private static ushort Advance(ushort cursor, int count, ushort size)
    {
        int position = (cursor & ~WrapBit) + ((cursor & WrapBit) != 0 ? 0 : size) + count;
        position %= 2 * size;
        return (ushort)(position < size ? position | WrapBit : position - size);
    }

    private static int Distance(ushort from, ushort to, ushort size)
    {
        int start = (from & ~WrapBit) + ((from & WrapBit) != 0 ? 0 : size), end = (to & ~WrapBit) + ((to & WrapBit) != 0 ? 0 : size);
        return end >= start ? end - start : end + 2 * size - start;
    }

    private static (ushort Index, byte Wrap) Split(ushort cursor) => ((ushort)(cursor & ~WrapBit), (byte)(cursor >> 15));

    private void Free(ushort first)
    {
        ushort last = first;
        _entries[last].Next = _next[last];
        while (_next[last] < _size)
        {
            last = _next[last];
            _entries[last].Next = _next[last];
        }

        _entries[last].Next = _next[last] = _free;
        _free = first;
    }

    /// <summary>QueueRegionPacked.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public ulong Features;
        public ushort Version;
        public ushort DescriptorCount;
        public ushort FreeHead;
        public ushort OldFreeHead;
        public ushort UsedIndex;
        public ushort OldUsedIndex;
        public byte UsedWrap;
        public byte OldUsedWrap;
        private readonly byte _padding1, _padding2;
        private readonly uint _padding3;

        public readonly ushort Cursor => (ushort)(UsedIndex | (UsedWrap != 0 ? WrapBit : 0));

        public readonly ushort OldCursor => (ushort)(OldUsedIndex | (OldUsedWrap != 0 ? WrapBit : 0));
    }

    /// <summary>DescStatePacked.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public byte InFlight;
        private readonly byte _padding;
        public ushort Next;
        public ushort Last;
        public ushort Count;
        public ulong Counter;
        public ushort Id;
        public ushort Flags;
        public uint Length;
        public ulong Address;
    }
}
