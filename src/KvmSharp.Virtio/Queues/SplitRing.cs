using System.Runtime.CompilerServices;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Virtio.Queues;

/// <summary>The device side of a split virtqueue (virtio 1.2 §2.7). Indices run freely through 16 bits.</summary>
internal unsafe struct SplitRing
{
    private const int DescriptorBytes = 16;

    private readonly byte* _descriptors;
    private readonly byte* _avail;
    private readonly byte* _used;
    private readonly ushort _size;
    private readonly bool _eventIdx;
    private readonly bool _indirect;
    private ushort _availCursor;
    private ushort _availSeen;
    private ushort _usedCursor;
    private ushort _usedPublished;

    private SplitRing(VirtQueueConfig config, RingAreas areas, ulong features, VirtQueueState state)
    {
        _descriptors = areas.Descriptor;
        _avail = areas.Driver;
        _used = areas.Device;
        _size = config.Size;
        _eventIdx = (features & VirtioFeatures.EventIdx) != 0;
        _indirect = (features & VirtioFeatures.IndirectDesc) != 0;
        _availCursor = _availSeen = state.AvailCursor;
        _usedCursor = _usedPublished = state.UsedCursor;
    }

    public readonly VirtQueueState State => new(_availCursor, _usedPublished);

    public readonly bool HasStaged => _usedCursor != _usedPublished;

    /// <summary>What is staged, or one chain more, would interrupt the driver as it stands. A hint: no barrier.</summary>
    public readonly bool WantsInterrupt => IsWanted(_usedPublished, (ushort)(_usedCursor + 1));

    private readonly ref ushort AvailFlags => ref *(ushort*)_avail;

    private readonly ref ushort AvailIdx => ref *(ushort*)(_avail + 2);

    private readonly ref ushort UsedEvent => ref *(ushort*)(_avail + 4 + 2 * _size);

    private readonly ref ushort UsedFlags => ref *(ushort*)_used;

    private readonly ref ushort UsedIdx => ref *(ushort*)(_used + 2);

    private readonly ref ushort AvailEvent => ref *(ushort*)(_used + 4 + 8 * _size);

    public static VirtQueueFault Open(VirtQueueConfig config, GuestMemory memory, ulong features, VirtQueueState state, out SplitRing ring)
    {
        ring = default;
        VirtQueueFault fault = RingAreas.Resolve(config, memory, packed: false, out RingAreas areas);
        if (fault != VirtQueueFault.None)
            return fault;
        if ((ushort)(state.AvailCursor - state.UsedCursor) > config.Size)
            return VirtQueueFault.BadState;
        ring = new SplitRing(config, areas, features, state);
        return VirtQueueFault.None;
    }

    /// <summary>used.idx of a ring that is not open.</summary>
    public static ushort ReadUsedIndex(RingAreas areas) => Volatile.Read(ref *(ushort*)(areas.Device + 2));

    /// <summary>False and no fault: nothing available.</summary>
    public bool TryPop(ChainSegments segments, out ushort id, out ushort count, out VirtQueueFault fault)
    {
        id = 0;
        count = 0;
        fault = VirtQueueFault.None;
        if (_availCursor == _availSeen)
        {
            // Acquire: pairs with the driver's write barrier between ring entries and avail.idx. All that follows reads what it guards.
            ushort index = Volatile.Read(ref AvailIdx);
            if (index == _availCursor)
                return false;
            uint inFlight = (ushort)(_availCursor - _usedCursor);
            if ((ushort)(index - _availCursor) + inFlight > _size)
            {
                fault = VirtQueueFault.AvailIndexJump;
                return false;
            }

            _availSeen = index;
        }

        // SAFETY: the masked cursor is below the ring's size; the entry is read once.
        id = Volatile.Read(ref *(ushort*)(_avail + 4 + 2 * (_availCursor & (_size - 1))));
        if (id >= _size)
        {
            fault = VirtQueueFault.HeadOutOfRange;
            return false;
        }

        segments.Clear();
        fault = Walk(segments, id, out count);
        if (fault != VirtQueueFault.None)
            return false;
        _availCursor++;
        return true;
    }

    /// <summary>A chain that the cursor has passed already.</summary>
    public readonly bool TryReplay(ChainSegments segments, ushort id, out ushort count, out VirtQueueFault fault)
    {
        segments.Clear();
        fault = Walk(segments, id, out count);
        return fault == VirtQueueFault.None;
    }

    /// <summary>Puts the chain popped last back.</summary>
    public void Unpop() => _availCursor--;

    public void Push(ushort id, uint bytesWritten)
    {
        // SAFETY: the masked cursor is below the ring's size. One aligned-enough store of id and len; used.idx makes it visible.
        byte* element = _used + 4 + 8 * (_usedCursor & (_size - 1));
        Unsafe.WriteUnaligned(element, (ulong)bytesWritten << 32 | id);
        _usedCursor++;
    }

    public bool Publish()
    {
        if (_usedCursor == _usedPublished)
            return false;
        ushort old = _usedPublished;
        // Release: pairs with the driver's read barrier between used.idx and the used elements.
        Volatile.Write(ref UsedIdx, _usedCursor);
        _usedPublished = _usedCursor;
        // Pairs with the driver's full barrier between writing used_event or avail.flags and re-reading used.idx: either it sees
        // our index, or we see that it wants an interrupt.
        Interlocked.MemoryBarrier();
        return IsWanted(old, _usedCursor);
    }

    public readonly void DisableNotifications()
    {
        // With event index there is no flag: an avail_event half a turn of the index away, which no batch of the driver reaches.
        if (_eventIdx)
            Volatile.Write(ref AvailEvent, (ushort)(_availCursor - 0x8001));
        else
            Volatile.Write(ref UsedFlags, VRING_USED_F_NO_NOTIFY);
    }

    /// <summary>True if nothing is available after arming.</summary>
    public readonly bool TryEnableNotifications()
    {
        if (_eventIdx)
            Volatile.Write(ref AvailEvent, _availCursor);
        else
            Volatile.Write(ref UsedFlags, (ushort)0);
        // Pairs with the driver's full barrier between writing avail.idx and reading avail_event or used.flags: either it kicks,
        // or we see its index here.
        Interlocked.MemoryBarrier();
        return !HasAvailable;
    }

    public readonly bool HasAvailable => Volatile.Read(ref AvailIdx) != _availCursor;

    /// <summary>An interrupt is wanted for the used elements from one index up to another.</summary>
    private readonly bool IsWanted(ushort from, ushort to)
    {
        if (!_eventIdx)
            return (Volatile.Read(ref AvailFlags) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
        // At most size elements and one since the last check, so the difference never reaches 65536 and means what it says.
        ushort usedEvent = Volatile.Read(ref UsedEvent);
        return (ushort)(to - usedEvent - 1) < (ushort)(to - from);
    }

    private readonly VirtQueueFault Walk(ChainSegments segments, uint index, out ushort count)
    {
        count = 0;
        while (count < _size)
        {
            count++;
            // SAFETY: index is below the table's size, by the caller or by the check below.
            RawDescriptor descriptor = RawDescriptor.Read(_descriptors + DescriptorBytes * index);
            if ((descriptor.Low & VRING_DESC_F_INDIRECT) != 0)
                return WalkIndirect(segments, descriptor);
            VirtQueueFault fault = segments.Add(descriptor.Address, descriptor.Length, (descriptor.Low & VRING_DESC_F_WRITE) != 0);
            if (fault != VirtQueueFault.None || (descriptor.Low & VRING_DESC_F_NEXT) == 0)
                return fault;
            index = descriptor.High;
            if (index >= _size)
                return VirtQueueFault.NextOutOfRange;
        }

        return VirtQueueFault.ChainLoop;
    }

    /// <summary>The table is the whole rest of the chain (virtio 1.2 §2.7.5.3); the write flag of the descriptor that refers to it is ignored.</summary>
    private readonly VirtQueueFault WalkIndirect(ChainSegments segments, RawDescriptor table)
    {
        if (!_indirect)
            return VirtQueueFault.IndirectNotNegotiated;
        if ((table.Low & VRING_DESC_F_NEXT) != 0)
            return VirtQueueFault.IndirectInChain;
        if (table.Length == 0 || table.Length % DescriptorBytes != 0 ||
            !segments.Memory.TryGetPointer(new GuestAddress(table.Address), table.Length, out byte* entries))
            return VirtQueueFault.BadIndirectTable;
        uint entryCount = table.Length / DescriptorBytes;
        uint index = 0;
        for (uint visited = 0; visited < entryCount; visited++)
        {
            // SAFETY: index is below entryCount, and the whole table is inside one region.
            RawDescriptor descriptor = RawDescriptor.Read(entries + (ulong)DescriptorBytes * index);
            if ((descriptor.Low & VRING_DESC_F_INDIRECT) != 0)
                return VirtQueueFault.NestedIndirect;
            VirtQueueFault fault = segments.Add(descriptor.Address, descriptor.Length, (descriptor.Low & VRING_DESC_F_WRITE) != 0);
            if (fault != VirtQueueFault.None || (descriptor.Low & VRING_DESC_F_NEXT) == 0)
                return fault;
            index = descriptor.High;
            if (index >= entryCount)
                return VirtQueueFault.NextOutOfRange;
        }

        return VirtQueueFault.ChainLoop;
    }
}
