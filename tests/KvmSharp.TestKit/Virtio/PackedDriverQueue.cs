using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit.Virtio;

/// <summary>The driver side of a packed virtqueue (virtio 1.2 §2.8).</summary>
public sealed unsafe class PackedDriverQueue : DriverQueue
{
    private readonly byte* _ring;
    private readonly ushort* _driverEvent;
    private readonly ushort* _deviceEvent;
    private readonly Queue<ushort> _freeIds = new();
    private readonly Queue<ushort> _order = new();
    private readonly int[] _cookies;
    private readonly int[] _counts;
    private int _free;
    private int _next;
    private bool _availWrap = true;
    private int _lastUsed;
    private bool _usedWrap = true;
    private int _staged;
    private int _firstStaged;
    private ushort _firstFlags;

    public PackedDriverQueue(GuestMemory memory, ulong start, ushort size, ulong features)
        : base(memory, start, size, features)
    {
        _ring = Pointer(DescriptorArea, 16UL * size);
        _driverEvent = (ushort*)Pointer(DriverArea, 4);
        _deviceEvent = (ushort*)Pointer(DeviceArea, 4);
        _cookies = new int[size];
        _counts = new int[size];
        _free = size;
        for (ushort i = 0; i < size; i++)
            _freeIds.Enqueue(i);
    }

    public override int Free => _free;

    public override bool TryAdd(ReadOnlySpan<DriverBuffer> buffers, int cookie, bool indirect = false)
    {
        int need = indirect ? 1 : buffers.Length;
        if (need > _free || need == 0 || _freeIds.Count == 0)
            return false;
        ushort id = _freeIds.Dequeue();
        if (indirect)
        {
            ulong address = IndirectTable(id);
            byte* table = Pointer(address, 16UL * (uint)buffers.Length);
            for (int i = 0; i < buffers.Length; i++)
            {
                *(ulong*)(table + 16 * i) = buffers[i].Address;
                *(uint*)(table + 16 * i + 8) = buffers[i].Length;
                *(ushort*)(table + 16 * i + 12) = 0;
                *(ushort*)(table + 16 * i + 14) = (ushort)(buffers[i].Writable ? 2 : 0);
            }

            Put(address, 16U * (uint)buffers.Length, 4, id, head: true);
        }
        else
        {
            for (int i = 0; i < need; i++)
            {
                ushort flags = (ushort)((i + 1 < need ? 1 : 0) | (buffers[i].Writable ? 2 : 0));
                // Only the last descriptor's id counts.
                Put(buffers[i].Address, buffers[i].Length, flags, i + 1 < need ? (ushort)0xdead : id, head: i == 0);
            }
        }

        _free -= need;
        _cookies[id] = cookie;
        _counts[id] = need;
        _order.Enqueue(id);
        return true;
    }

    public override bool Publish()
    {
        if (_staged == 0)
            return false;
        Volatile.Write(ref *(ushort*)(_ring + 16 * _firstStaged + 14), _firstFlags);
        int added = _staged;
        _staged = 0;
        Interlocked.MemoryBarrier();
        uint area = Volatile.Read(ref *(uint*)_deviceEvent);
        uint mode = area >> 16;
        if (mode != 2)
            return mode == 0;
        int offset = (int)(area & 0x7fff);
        bool wrap = (area & 0x8000) != 0;
        // Walk back over what was just made available, looking for the descriptor that shall be announced.
        int at = _next;
        bool atWrap = _availWrap;
        for (int i = 0; i < added; i++)
        {
            if (at == 0)
            {
                at = Size;
                atWrap = !atWrap;
            }

            at--;
            if (at == offset && atWrap == wrap)
                return true;
        }

        return false;
    }

    public override bool TryTakeUsed(out int cookie, out uint written)
    {
        cookie = 0;
        written = 0;
        if (!IsUsed())
            return false;
        byte* at = _ring + 16 * _lastUsed;
        ushort flags = *(ushort*)(at + 14);
        ushort id = *(ushort*)(at + 12);
        if (id >= Size || _counts[id] == 0)
            throw new InvalidOperationException($"used id {id} is not in flight");
        if (InOrder && _order.Dequeue() != id)
            throw new InvalidOperationException("used out of order");
        // Without the write flag the length says nothing.
        written = (flags & 2) != 0 ? *(uint*)(at + 8) : 0;
        cookie = _cookies[id];
        int count = _counts[id];
        _counts[id] = 0;
        _freeIds.Enqueue(id);
        _free += count;
        _lastUsed += count;
        if (_lastUsed >= Size)
        {
            _lastUsed -= Size;
            _usedWrap = !_usedWrap;
        }

        return true;
    }

    public override void DisableInterrupts() => Volatile.Write(ref _driverEvent[1], (ushort)1);

    public override bool TryEnableInterrupts()
    {
        if (EventIdx)
        {
            Volatile.Write(ref _driverEvent[0], (ushort)(_lastUsed | (_usedWrap ? 0x8000 : 0)));
            Volatile.Write(ref _driverEvent[1], (ushort)2);
        }
        else
        {
            Volatile.Write(ref _driverEvent[1], (ushort)0);
        }

        Interlocked.MemoryBarrier();
        return !IsUsed();
    }

    private bool IsUsed()
    {
        ushort flags = Volatile.Read(ref *(ushort*)(_ring + 16 * _lastUsed + 14));
        bool avail = (flags & 0x80) != 0;
        bool used = (flags & 0x8000) != 0;
        return avail == used && used == _usedWrap;
    }

    private void Put(ulong address, uint length, ushort flags, ushort id, bool head)
    {
        byte* at = _ring + 16 * _next;
        *(ulong*)at = address;
        *(uint*)(at + 8) = length;
        *(ushort*)(at + 12) = id;
        flags |= (ushort)(_availWrap ? 0x80 : 0x8000);
        if (head && _staged == 0)
        {
            _firstStaged = _next;
            _firstFlags = flags;
        }
        else
        {
            Volatile.Write(ref *(ushort*)(at + 14), flags);
        }

        _staged++;
        if (++_next == Size)
        {
            _next = 0;
            _availWrap = !_availWrap;
        }
    }
}
