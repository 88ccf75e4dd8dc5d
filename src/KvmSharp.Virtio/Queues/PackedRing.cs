using System.Runtime.CompilerServices;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// The device side of a packed virtqueue (virtio 1.2 §2.8). A position counts from 0 to twice the size: below the size the
/// wrap counter is 1, from there on 0, so that distances are plain differences modulo twice the size.
/// </summary>
internal unsafe struct PackedRing
{
    private const int DescriptorBytes = 16;
    private const ushort AvailBit = 1 << VRING_PACKED_DESC_F_AVAIL;
    private const ushort UsedBit = 1 << VRING_PACKED_DESC_F_USED;
    private const ushort WrapBit = 1 << VRING_PACKED_EVENT_F_WRAP_CTR;

    private readonly byte* _descriptors;
    private readonly byte* _driverEvent;
    private readonly byte* _deviceEvent;
    private readonly uint _size;
    private readonly bool _eventIdx;
    private readonly bool _indirect;
    private uint _avail;
    private uint _used;
    private uint _published;
    private ushort _firstFlags;

    private PackedRing(VirtQueueConfig config, RingAreas areas, ulong features, uint avail, uint used)
    {
        _descriptors = areas.Descriptor;
        _driverEvent = areas.Driver;
        _deviceEvent = areas.Device;
        _size = config.Size;
        _eventIdx = (features & VirtioFeatures.EventIdx) != 0;
        _indirect = (features & VirtioFeatures.IndirectDesc) != 0;
        _avail = avail;
        _used = _published = used;
    }

    public readonly VirtQueueState State => new(ToCursor(_avail), ToCursor(_published));

    public readonly bool HasStaged => _used != _published;

    /// <summary>What is to be the used cursor when what is staged is published.</summary>
    public readonly ushort StagedCursor => ToCursor(_used);

    public readonly byte* Descriptors => _descriptors;

    /// <summary>Index of the next descriptor to pop.</summary>
    public readonly uint Next => _avail < _size ? _avail : _avail - _size;

    public static VirtQueueFault Open(VirtQueueConfig config, GuestMemory memory, ulong features, VirtQueueState state, out PackedRing ring)
    {
        ring = default;
        uint size = config.Size;
        VirtQueueFault fault = RingAreas.Resolve(config, memory, packed: true, out RingAreas areas);
        if (fault != VirtQueueFault.None)
            return fault;
        if (!TryToPosition(state.AvailCursor, size, out uint avail) || !TryToPosition(state.UsedCursor, size, out uint used) ||
            Distance(used, avail, size) > size)
            return VirtQueueFault.BadState;
        ring = new PackedRing(config, areas, features, avail, used);
        return VirtQueueFault.None;
    }

    /// <summary>False and no fault: nothing available.</summary>
    public bool TryPop(ChainSegments segments, out ushort id, out ushort count, out VirtQueueFault fault)
    {
        id = 0;
        count = 0;
        fault = VirtQueueFault.None;
        uint position = _avail;
        byte* entry = EntryAt(position);
        // Acquire: pairs with the driver's write barrier before the flags of the head, which it writes last.
        ushort flags = Volatile.Read(ref FlagsOf(entry));
        if (!IsAvailable(flags, position))
            return false;
        uint free = _size - Distance(_used, position, _size);
        segments.Clear();
        while (true)
        {
            if (count == free)
                return Fail(VirtQueueFault.Oversubscribed, out fault);
            count++;
            // SAFETY: EntryAt is inside the ring. The flags of this copy are ignored: those that were checked count. The id that
            // counts is the last descriptor's.
            RawDescriptor descriptor = RawDescriptor.Read(entry);
            id = descriptor.Low;
            fault = AddDescriptor(segments, descriptor.Address, descriptor.Length, flags, count);
            if (fault != VirtQueueFault.None)
                return false;
            position = Advance(position, 1);
            if ((flags & VRING_DESC_F_NEXT) == 0)
                break;
            entry = EntryAt(position);
            flags = Volatile.Read(ref FlagsOf(entry));
            if (!IsAvailable(flags, position))
                return Fail(VirtQueueFault.NextNotAvailable, out fault);
        }

        _avail = position;
        return true;
    }

    /// <summary>Puts the chain popped last back.</summary>
    public void Unpop(ushort count) => _avail = Advance(_avail, 2 * _size - count);

    public void Push(ushort id, ushort count, uint bytesWritten)
    {
        byte* entry = EntryAt(_used);
        Unsafe.WriteUnaligned(entry + 8, bytesWritten);
        Unsafe.WriteUnaligned(entry + 12, id);
        ushort flags = (ushort)((_used < _size ? AvailBit | UsedBit : 0) | (bytesWritten != 0 ? VRING_DESC_F_WRITE : 0));
        // The driver takes used descriptors in ring order and stops at the first that is not: holding back the flags of the first
        // one of a batch holds back all.
        if (_used == _published)
            _firstFlags = flags;
        else
            Volatile.Write(ref FlagsOf(entry), flags);
        _used = Advance(_used, count);
    }

    public bool Publish()
    {
        if (_used == _published)
            return false;
        // Release: pairs with the driver's read barrier between a used descriptor's flags and its id and length.
        Volatile.Write(ref FlagsOf(EntryAt(_published)), _firstFlags);
        uint old = _published;
        _published = _used;
        // Pairs with the driver's full barrier between writing its event suppression area and re-reading the flags of the next
        // used descriptor: either it sees this one, or we see that it wants an interrupt.
        Interlocked.MemoryBarrier();
        return IsWanted(old, Distance(old, _used, _size));
    }

    /// <inheritdoc cref="SplitRing.WantsInterrupt"/>
    public readonly bool WantsInterrupt => IsWanted(_published, Distance(_published, _used, _size) + 1);

    public readonly void DisableNotifications() =>
        Volatile.Write(ref *(uint*)_deviceEvent, (uint)VRING_PACKED_EVENT_FLAG_DISABLE << 16);

    /// <summary>True if nothing is available after arming.</summary>
    public readonly bool TryEnableNotifications()
    {
        uint armed = _eventIdx
            ? (uint)VRING_PACKED_EVENT_FLAG_DESC << 16 | ToCursor(_avail)
            : (uint)VRING_PACKED_EVENT_FLAG_ENABLE << 16;
        Volatile.Write(ref *(uint*)_deviceEvent, armed);
        // Pairs with the driver's full barrier between writing a head's flags and reading our event suppression area: either it
        // kicks, or we see its descriptor here.
        Interlocked.MemoryBarrier();
        return !HasAvailable;
    }

    public readonly bool HasAvailable => IsAvailable(Volatile.Read(ref FlagsOf(EntryAt(_avail))), _avail);

    /// <summary>Adds a descriptor of the chain that is popped; <paramref name="count"/> includes it.</summary>
    private readonly VirtQueueFault AddDescriptor(ChainSegments segments, ulong address, uint length, ushort flags, ushort count)
    {
        if ((flags & VRING_DESC_F_INDIRECT) == 0)
            return segments.Add(address, length, (flags & VRING_DESC_F_WRITE) != 0);
        if (!_indirect)
            return VirtQueueFault.IndirectNotNegotiated;
        // virtio 1.2 §2.8.20: never in a list linked by NEXT, at neither end.
        if (count != 1 || (flags & VRING_DESC_F_NEXT) != 0)
            return VirtQueueFault.IndirectInChain;
        if (length == 0 || length % DescriptorBytes != 0 ||
            !segments.Memory.TryGetPointer(new GuestAddress(address), length, out byte* entries))
            return VirtQueueFault.BadIndirectTable;
        // The entries follow each other; of their flags only WRITE has a meaning.
        for (byte* at = entries, end = entries + length; at < end; at += DescriptorBytes)
        {
            // SAFETY: the whole table is inside one region.
            RawDescriptor descriptor = RawDescriptor.Read(at);
            if ((descriptor.High & VRING_DESC_F_INDIRECT) != 0)
                return VirtQueueFault.NestedIndirect;
            VirtQueueFault fault = segments.Add(descriptor.Address, descriptor.Length, (descriptor.High & VRING_DESC_F_WRITE) != 0);
            if (fault != VirtQueueFault.None)
                return fault;
        }

        return VirtQueueFault.None;
    }

    private static bool Fail(VirtQueueFault reason, out VirtQueueFault fault)
    {
        fault = reason;
        return false;
    }

    /// <summary>An interrupt is wanted for so many descriptors from a position on.</summary>
    private readonly bool IsWanted(uint from, uint count)
    {
        // One aligned load, so that offset and flags belong together.
        uint wanted = Volatile.Read(ref *(uint*)_driverEvent);
        uint mode = wanted >> 16 & 3;
        if (mode != VRING_PACKED_EVENT_FLAG_DESC || !_eventIdx)
            return mode != VRING_PACKED_EVENT_FLAG_DISABLE;
        // Between one and size descriptors since the last check: a whole turn has distance size, not zero.
        return TryToPosition((ushort)wanted, _size, out uint wantedAt) && Distance(from, wantedAt, _size) < count;
    }

    private static ref ushort FlagsOf(byte* entry) => ref *(ushort*)(entry + 14);

    /// <summary>Available: the AVAIL bit is the wrap counter, the USED bit its inverse.</summary>
    private readonly bool IsAvailable(ushort flags, uint position) =>
        (flags & (AvailBit | UsedBit)) == (position < _size ? AvailBit : UsedBit);

    // SAFETY: positions are below twice the size, so the index is below the size.
    private readonly byte* EntryAt(uint position) => _descriptors + DescriptorBytes * (position < _size ? position : position - _size);

    private readonly uint Advance(uint position, uint count)
    {
        uint next = position + count;
        return next < 2 * _size ? next : next - 2 * _size;
    }

    private static uint Distance(uint from, uint to, uint size) => to >= from ? to - from : to + 2 * size - from;

    private readonly ushort ToCursor(uint position) => (ushort)(position < _size ? position | WrapBit : position - _size);

    private static bool TryToPosition(ushort cursor, uint size, out uint position)
    {
        uint offset = cursor & (WrapBit - 1u);
        position = (cursor & WrapBit) != 0 ? offset : offset + size;
        return offset < size;
    }
}
