using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit.Virtio;

/// <summary>The driver side of a split virtqueue (virtio 1.2 §2.7).</summary>
public sealed unsafe class SplitDriverQueue : DriverQueue
{
    private readonly byte* _table;
    private readonly ushort* _avail;
    private readonly ushort* _used;
    private readonly LinkedList<ushort> _free = new();
    private readonly Queue<ushort> _order = new();
    private readonly int[] _cookies;
    private readonly ushort[][] _chains;
    private ushort _availIdx;
    private ushort _availPublished;
    private ushort _lastUsed;

    public SplitDriverQueue(GuestMemory memory, ulong start, ushort size, ulong features)
        : base(memory, start, size, features)
    {
        _table = Pointer(DescriptorArea, 16UL * size);
        _avail = (ushort*)Pointer(DriverArea, 6 + 2UL * size);
        _used = (ushort*)Pointer(DeviceArea, 6 + 8UL * size);
        _cookies = new int[size];
        _chains = new ushort[size][];
        for (ushort i = 0; i < size; i++)
            _free.AddLast(i);
    }

    public override int Free => _free.Count;

    /// <summary>Moves all indices, as after that many uses of an idle queue. The device's state must say the same.</summary>
    public void SetIndices(ushort value)
    {
        _availIdx = _availPublished = _lastUsed = value;
        _avail[1] = value;
        _used[1] = value;
    }

    public override bool TryAdd(ReadOnlySpan<DriverBuffer> buffers, int cookie, bool indirect = false)
    {
        int need = indirect ? 1 : buffers.Length;
        if (need > _free.Count || need == 0)
            return false;
        ushort[] ids = new ushort[need];
        for (int i = 0; i < need; i++)
        {
            ids[i] = _free.First!.Value;
            _free.RemoveFirst();
        }

        if (indirect)
        {
            ulong address = IndirectTable(ids[0]);
            byte* table = Pointer(address, 16UL * (uint)buffers.Length);
            for (int i = 0; i < buffers.Length; i++)
                Write(table, i, buffers[i], i + 1 < buffers.Length, (ushort)(i + 1));
            Put(_table, ids[0], address, 16U * (uint)buffers.Length, 4, 0);
        }
        else
        {
            for (int i = 0; i < need; i++)
                Write(_table, ids[i], buffers[i], i + 1 < need, i + 1 < need ? ids[i + 1] : (ushort)0);
        }

        _chains[ids[0]] = ids;
        _cookies[ids[0]] = cookie;
        _order.Enqueue(ids[0]);
        _avail[2 + _availIdx % Size] = ids[0];
        _availIdx++;
        return true;
    }

    public override bool Publish()
    {
        ushort old = _availPublished;
        if (old == _availIdx)
            return false;
        Volatile.Write(ref _avail[1], _availIdx);
        _availPublished = _availIdx;
        Interlocked.MemoryBarrier();
        if (!EventIdx)
            return (Volatile.Read(ref _used[0]) & 1) == 0;
        // The event lies among the entries just made available.
        ushort wanted = Volatile.Read(ref _used[2 + 4 * Size]);
        for (ushort at = old; at != _availIdx; at++)
        {
            if (at == wanted)
                return true;
        }

        return false;
    }

    public override bool TryTakeUsed(out int cookie, out uint written)
    {
        cookie = 0;
        written = 0;
        ushort index = Volatile.Read(ref _used[1]);
        if (index == _lastUsed)
            return false;
        if ((ushort)(index - _lastUsed) > Size)
            throw new InvalidOperationException("used index jumped");
        uint* element = (uint*)(_used + 2 + 4 * (_lastUsed % Size));
        uint id = element[0];
        written = element[1];
        if (id >= Size || _chains[id] is not { } chain)
            throw new InvalidOperationException($"used id {id} is not in flight");
        if (InOrder && _order.Dequeue() != id)
            throw new InvalidOperationException("used out of order");
        cookie = _cookies[id];
        foreach (ushort entry in chain)
        {
            if (InOrder)
                _free.AddLast(entry);
            else
                _free.AddFirst(entry);
        }

        _chains[id] = null!;
        _lastUsed++;
        return true;
    }

    public override void DisableInterrupts()
    {
        if (EventIdx)
            Volatile.Write(ref _avail[2 + Size], (ushort)(_lastUsed - 1));
        else
            Volatile.Write(ref _avail[0], (ushort)1);
    }

    public override bool TryEnableInterrupts()
    {
        if (EventIdx)
            Volatile.Write(ref _avail[2 + Size], _lastUsed);
        else
            Volatile.Write(ref _avail[0], (ushort)0);
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _used[1]) == _lastUsed;
    }

    private static void Write(byte* table, int index, DriverBuffer buffer, bool hasNext, ushort next) =>
        Put(table, index, buffer.Address, buffer.Length, (ushort)((hasNext ? 1 : 0) | (buffer.Writable ? 2 : 0)), next);

    private static void Put(byte* table, int index, ulong address, uint length, ushort flags, ushort next)
    {
        byte* at = table + 16 * index;
        *(ulong*)at = address;
        *(uint*)(at + 8) = length;
        *(ushort*)(at + 12) = flags;
        *(ushort*)(at + 14) = next;
    }
}
