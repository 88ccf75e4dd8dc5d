using System.Runtime.InteropServices;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Notes which chains of a packed virtqueue are in flight, in the layout of "In-flight I/O tracking, for packed virtqueue" of the vhost-user protocol. Used
/// descriptors overwrite those of chains that are still in flight, so descriptors are kept too. Which of a ring's entries were published last is told
/// by the USED bit of the first of them, whose owner changes it once a lap. Whatever is read from the region is read once and checked.
/// </summary>
internal sealed unsafe class PackedInFlight
{
    private const ushort Version = 1;
    private const ushort WrapBit = 0x8000;
    private const int DescriptorBytes = 16, FlagsOffset = 14;
    private const ushort AvailFlag = 1 << Abi.Virtio.VirtioRing.VRING_PACKED_DESC_F_AVAIL, UsedFlag = 1 << Abi.Virtio.VirtioRing.VRING_PACKED_DESC_F_USED;

    private readonly Header* _header;
    private readonly Entry* _entries;
    private readonly ushort _size;

    /// <summary>Entries that are free, and those of a chain, linked; the size of the queue ends both. The region's own links are for others and not read.</summary>
    private readonly ushort[] _next;

    /// <summary>By the first entry of a chain: the last one.</summary>
    private readonly ushort[] _last;

    /// <summary>By slot of the token: the first of the chain's entries.</summary>
    private readonly ushort[] _entryOf;
    private readonly ushort[] _batch;
    private int _batchCount;
    private ushort _free;
    private ushort _usedCursor;
    private ushort _stagedCursor;
    private ulong _counter;

    private PackedInFlight(InFlightRegion region, ushort size, ushort usedCursor)
    {
        _header = (Header*)region.Start;
        _entries = (Entry*)(region.Start + sizeof(Header));
        _size = size;
        _next = new ushort[size];
        _last = new ushort[size];
        _entryOf = new ushort[size];
        _batch = new ushort[size];
        _usedCursor = _stagedCursor = usedCursor;
        for (ushort i = 0; i < size; i++)
            _entries[i].Next = _next[i] = (ushort)(i + 1);
        _header->DescriptorCount = size;
        _header->FreeHead = _header->OldFreeHead = 0;
        NoteCursors();
        Volatile.Write(ref _header->Version, Version);
    }

    /// <summary>
    /// Reads what the process before this one left behind. What it had taken is put back into the ring, in its order and from where it had published nothing yet, as if it had
    /// not been taken. If it did not end the queue's service, <paramref name="state"/> becomes where that stands.
    /// </summary>
    /// <param name="descriptors">The descriptor ring.</param>
    public static PackedInFlight Open(InFlightRegion region, ushort size, byte* descriptors, ref VirtQueueState state)
    {
        // SAFETY: as for split.
        var header = (Header*)region.Start;
        var entries = (Entry*)(region.Start + sizeof(Header));
        ulong cursors = header->Cursors;
        ushort staged = ReadCursor(cursors, old: false), used = ReadCursor(cursors, old: true);
        bool known = header->Version == Version && header->DescriptorCount == size && (staged & ~WrapBit) < size && (used & ~WrapBit) < size;
        if (!known)
        {
            Volatile.Write(ref header->Version, 0);
            NativeMemory.Clear(entries, (nuint)size * (nuint)sizeof(Entry));
        }
        else
        {
            if (staged != used && IsPublished(descriptors, used))
                used = FinishBatch(header, entries, size, used, staged);
            PutBack(entries, size, descriptors, used);
            state = new VirtQueueState(used, used);
        }

        return new PackedInFlight(region, size, state.UsedCursor);
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
            RawDescriptor descriptor = RawDescriptor.Read(descriptors + DescriptorBytes * ((position + i) % _size));
            ref Entry entry = ref _entries[last];
            (entry.Address, entry.Length, entry.Flags, entry.Id) = (descriptor.Address, descriptor.Length, descriptor.High, descriptor.Low);
        }

        _next[last] = _size;
        _last[first] = last;
        ref Entry head = ref _entries[first];
        head.Last = last;
        head.Count = count;
        head.Counter = _counter++;
        NoteFree();
        Volatile.Write(ref head.InFlight, 1);
        return true;
    }

    /// <summary>The chain that was taken last is in the ring again.</summary>
    public void Untake(ushort slot)
    {
        ushort first = _entryOf[slot];
        Volatile.Write(ref _entries[first].InFlight, 0);
        Free(first);
        NoteFree();
    }

    /// <summary>A chain is in the ring as used, the driver does not see it yet.</summary>
    public void Stage(ushort slot)
    {
        ushort first = _entryOf[slot];
        _entries[_last[first]].Next = _header->FreeHead;
        _header->FreeHead = first;
        _batch[_batchCount++] = first;
    }

    /// <summary>What is staged is about to be published.</summary>
    public void Prepare(ushort usedCursor)
    {
        _stagedCursor = usedCursor;
        NoteCursors();
    }

    /// <summary>What is staged was published.</summary>
    public void Commit()
    {
        for (int i = 0; i < _batchCount; i++)
            Volatile.Write(ref _entries[_batch[i]].InFlight, 0);
        _usedCursor = _stagedCursor;
        NoteCursors();
        for (int i = 0; i < _batchCount; i++)
            Free(_batch[i]);
        _batchCount = 0;
        NoteFree();
    }

    /// <summary>The driver sees what was staged from this cursor on.</summary>
    private static bool IsPublished(byte* descriptors, ushort cursor)
    {
        // SAFETY: the cursor was checked to be the ring's.
        ushort flags = Volatile.Read(ref *(ushort*)(descriptors + DescriptorBytes * (cursor & ~WrapBit) + FlagsOffset));
        return (flags & UsedFlag) != 0 == ((cursor & WrapBit) != 0);
    }

    /// <summary>The last batch was published and its chains are not in flight, but that was not noted yet. Gives the cursor behind it.</summary>
    private static ushort FinishBatch(Header* header, Entry* entries, ushort size, ushort used, ushort staged)
    {
        int left = (ToPosition(staged, size) - ToPosition(used, size) + 2 * size) % (2 * size);
        ushort first = header->FreeHead;
        while (left > 0 && first < size && entries[first].Count is > 0 and var count)
        {
            left -= count;
            entries[first].InFlight = 0;
            ushort last = entries[first].Last;
            first = last < size ? entries[last].Next : size;
        }

        // In this order: whoever comes next, should this process end here, finishes the same batch or none.
        Volatile.Write(ref header->Cursors, ToCursors(staged, staged));
        return staged;
    }

    /// <summary>
    /// Chains in flight go back into the ring, oldest first. They stay noted until the ring has all of them, and the newest is struck out first: wherever this process ends, what is noted and
    /// what is in the ring behind it are all of them, in order.
    /// </summary>
    private static void PutBack(Entry* entries, ushort size, byte* descriptors, ushort used)
    {
        ReplayOrder order = new(size);
        ushort[] next = new ushort[size];
        ushort[] counts = new ushort[size];
        bool[] taken = new bool[size];
        for (ushort first = 0; first < size; first++)
        {
            if (entries[first].InFlight == 0)
                continue;
            counts[first] = Claim(entries, first, size, taken, next);
            if (counts[first] > 0)
                order.Add(first, entries[first].Counter);
            else
                entries[first].InFlight = 0;
        }

        order.Sort();
        int position = ToPosition(used, size);
        foreach (ushort first in order.Entries)
        {
            ushort at = first;
            for (int left = counts[first]; left > 0; left--, at = next[at], position = (position + 1) % (2 * size))
                Write(descriptors + DescriptorBytes * (position % size), entries[at], position < size);
        }

        for (int i = order.Entries.Length - 1; i >= 0; i--)
            Volatile.Write(ref entries[order.Entries[i]].InFlight, 0);
    }

    /// <summary>Makes a descriptor available; its flags come last. All of them are the device's until it publishes one.</summary>
    private static void Write(byte* to, Entry entry, bool wrap)
    {
        *(ulong*)to = entry.Address;
        *(uint*)(to + 8) = entry.Length;
        *(ushort*)(to + 12) = entry.Id;
        Volatile.Write(ref *(ushort*)(to + FlagsOffset), (ushort)((entry.Flags & ~(AvailFlag | UsedFlag)) | (wrap ? AvailFlag : UsedFlag)));
    }

    /// <summary>Marks and links a chain's entries; how many. 0 if it is none: one of them is another chain's, or the links lead nowhere.</summary>
    private static ushort Claim(Entry* entries, ushort first, ushort size, bool[] taken, ushort[] next)
    {
        ushort count = entries[first].Count, at = first;
        if (count > size)
            return 0;
        for (int i = 0; i < count; i++)
        {
            if (at >= size || taken[at])
                return 0;
            taken[at] = true;
            at = next[at] = entries[at].Next;
        }

        return count;
    }

    /// <summary>From 0 to twice the size, as in <see cref="PackedRing"/>.</summary>
    private static int ToPosition(ushort cursor, ushort size) => (cursor & ~WrapBit) + ((cursor & WrapBit) != 0 ? 0 : size);

    private static ushort ReadCursor(ulong cursors, bool old)
    {
        int index = (int)(cursors >> (old ? 16 : 0)) & 0xFFFF;
        bool wrap = (cursors >> (old ? 40 : 32) & 0xFF) != 0;
        // An index that has the wrap counter's bit is too large for any queue, and stays so.
        return (ushort)(index < WrapBit ? index | (wrap ? WrapBit : 0) : WrapBit - 1);
    }

    private static ulong ToCursors(ushort staged, ushort used) =>
        (uint)(staged & ~WrapBit) | (ulong)(used & ~WrapBit) << 16 | (ulong)(staged >> 15) << 32 | (ulong)(used >> 15) << 40;

    /// <summary>In one store: the process may end before and after it, and not within.</summary>
    private void NoteCursors() => Volatile.Write(ref _header->Cursors, ToCursors(_stagedCursor, _usedCursor));

    private void NoteFree()
    {
        _header->OldFreeHead = _free;
        // While a batch is staged this is where it begins.
        if (_batchCount == 0)
            _header->FreeHead = _free;
    }

    private void Free(ushort first)
    {
        ushort last = _last[first];
        for (ushort at = first; at != last; at = _next[at])
            _entries[at].Next = _next[at];
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

        /// <summary>used_idx and old_used_idx, of 16 bits each, used_wrap_counter and old_used_wrap_counter, of 8, and padding of 16.</summary>
        public ulong Cursors;
        private readonly ulong _padding;
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
