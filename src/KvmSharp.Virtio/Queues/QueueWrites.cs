using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Notes what a queue and its device write, in a log of pages: the writable buffers of a chain when it is pushed, whether they were filled or not, and the
/// areas that the device writes. Remembers buffers from pop to push; allocates only while chains get longer than any before in their slots.
/// </summary>
internal sealed unsafe class QueueWrites
{
    private const int DescriptorBytes = 16, UsedElementBytes = 8, UsedRestBytes = 6, EventSuppressionBytes = 4;

    private readonly IPageLog _log;
    private readonly GuestMemory _memory;
    private readonly Range[][] _ranges;
    private readonly int[] _counts;
    private readonly Range _ring;
    private readonly Range _device;

    public QueueWrites(IPageLog log, GuestMemory memory, VirtQueueConfig config, bool packed)
    {
        _log = log;
        _memory = memory;
        _ranges = new Range[config.Size][];
        Array.Fill(_ranges, []);
        _counts = new int[config.Size];
        _ring = new Range(config.DescriptorArea, packed ? (ulong)config.Size * DescriptorBytes : 0);
        _device = new Range(config.DeviceArea, packed ? EventSuppressionBytes : UsedRestBytes + (ulong)config.Size * UsedElementBytes);
    }

    /// <summary>A chain was popped.</summary>
    public void Note(ushort slot, ReadOnlySpan<IoVec> writable)
    {
        if (_ranges[slot].Length < writable.Length)
            _ranges[slot] = new Range[writable.Length];
        int count = 0;
        foreach (ref readonly IoVec segment in writable)
        {
            foreach (ref readonly GuestMemoryRegion region in _memory.Regions)
            {
                ulong offset = (ulong)(segment.Base - region.Pointer);
                if (offset < region.SizeBytes)
                    _ranges[slot][count++] = new Range(region.Start + offset, segment.Length);
            }
        }

        _counts[slot] = count;
    }

    /// <summary>It is about to be pushed: everything is written.</summary>
    public void MarkChain(ushort slot)
    {
        foreach (ref readonly Range range in _ranges[slot].AsSpan(0, _counts[slot]))
            _log.Mark(range.Start, range.Bytes);
    }

    /// <summary>Chains were published, or the driver was told when to kick.</summary>
    public void MarkAreas()
    {
        _log.Mark(_ring.Start, _ring.Bytes);
        _log.Mark(_device.Start, _device.Bytes);
    }

    private readonly record struct Range(GuestAddress Start, ulong Bytes);
}
