using System.Runtime.InteropServices;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Notes which heads of a split virtqueue are in flight, by the steps of "In-flight I/O tracking, for split virtqueue" of the vhost-user protocol: wherever this
/// process ends, the next one can tell which chains the driver still waits for.
/// </summary>
internal sealed unsafe class SplitInFlight
{
    private const ushort Version = 1;

    private readonly Header* _header;
    private readonly Entry* _entries;
    private readonly ushort[] _batch;
    private readonly ReplayOrder _replay;
    private int _batchCount;
    private int _taken;
    private ulong _counter;

    private SplitInFlight(InFlightRegion region, ushort size, ReplayOrder replay)
    {
        _header = (Header*)region.Start;
        _entries = (Entry*)(region.Start + sizeof(Header));
        _batch = new ushort[size];
        _replay = replay;
        _counter = replay.NextCounter;
    }

    /// <summary>Heads that an earlier process took are still to be served.</summary>
    public bool HasReplays => _replay.Count > 0;

    /// <summary>
    /// Reads what the process before this one left behind. If it did not end the queue's service, <paramref name="state"/> becomes where that stands.
    /// </summary>
    /// <param name="usedIndex">Of the used ring.</param>
    public static SplitInFlight Open(InFlightRegion region, ushort size, ushort usedIndex, ref VirtQueueState state)
    {
        // SAFETY: the region has room for the header and size entries, by SizeOf and the check of whoever opens the queue.
        var header = (Header*)region.Start;
        var entries = (Entry*)(region.Start + sizeof(Header));
        var replay = new ReplayOrder(size);
        ushort published = (ushort)(usedIndex - header->UsedIndex);
        bool known = header->Version == Version && header->DescriptorCount == size && published <= size;
        if (!known)
        {
            NativeMemory.Clear(entries, (nuint)size * (nuint)sizeof(Entry));
            *header = new Header { Version = Version, DescriptorCount = size };
        }
        else
        {
            // The last batch was in the used ring, but perhaps not noted as such.
            uint head = header->LastBatchHead;
            for (int i = 0; i < published && head < size; i++)
            {
                entries[head].InFlight = 0;
                head = entries[head].Next;
            }
        }

        header->UsedIndex = usedIndex;
        for (ushort head = 0; head < size; head++)
        {
            if (entries[head].InFlight != 0)
                replay.Add(head, entries[head].Counter);
        }

        if (known)
            state = new VirtQueueState((ushort)(usedIndex + replay.Count), usedIndex);
        replay.Sort();
        return new SplitInFlight(region, size, replay);
    }

    public bool TryTakeReplay(out ushort head)
    {
        if (!_replay.TryTake(out head))
            return false;
        _taken++;
        return true;
    }

    /// <summary>
    /// A chain was popped. False if that is one more than the queue has entries: the driver sees none as used before it is published, and has no other to add.
    /// </summary>
    public bool TryTake(ushort head)
    {
        if (_taken == _batch.Length)
            return false;
        _taken++;
        ref Entry entry = ref _entries[head];
        entry.Counter = _counter++;
        Volatile.Write(ref entry.InFlight, 1);
        return true;
    }

    /// <summary>A chain is in the used ring, the driver does not see it yet.</summary>
    public void Stage(ushort head)
    {
        _entries[head].Next = _header->LastBatchHead;
        Volatile.Write(ref _header->LastBatchHead, head);
        _batch[_batchCount++] = head;
    }

    /// <summary>What is staged was published.</summary>
    public void Commit(ushort usedIndex)
    {
        for (int i = 0; i < _batchCount; i++)
            Volatile.Write(ref _entries[_batch[i]].InFlight, 0);
        Volatile.Write(ref _header->UsedIndex, usedIndex);
        _taken -= _batchCount;
        _batchCount = 0;
    }

    /// <summary>QueueRegionSplit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public ulong Features;
        public ushort Version;
        public ushort DescriptorCount;
        public ushort LastBatchHead;
        public ushort UsedIndex;
    }

    /// <summary>DescStateSplit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public byte InFlight;
        private readonly byte _padding1, _padding2, _padding3, _padding4, _padding5;
        public ushort Next;
        public ulong Counter;
    }
}
