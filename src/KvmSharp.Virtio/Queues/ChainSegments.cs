using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Collects the buffers of the chain that is being popped as host ranges. One per queue, reused by every pop. The array is
/// pinned so that segments can go to the kernel where they are.
/// </summary>
internal sealed unsafe class ChainSegments(GuestMemory memory, int limit)
{
    private readonly IoVec[] _segments = GC.AllocateArray<IoVec>(limit, pinned: true);
    private int _descriptors;
    private int _readable;
    private int _count;
    private ulong _readableBytes;
    private ulong _bytes;
    private bool _writableSeen;

    public GuestMemory Memory => memory;

    public void Clear()
    {
        _descriptors = 0;
        _readable = 0;
        _count = 0;
        _readableBytes = 0;
        _bytes = 0;
        _writableSeen = false;
    }

    public DescriptorChain ToChain(VirtQueueToken token) => new(
        token,
        new ReadOnlySpan<IoVec>(_segments, 0, _readable),
        new ReadOnlySpan<IoVec>(_segments, _readable, _count - _readable),
        (uint)_readableBytes,
        (uint)(_bytes - _readableBytes));

    /// <summary>Adds the buffer of one descriptor. An empty one counts as a descriptor and leaves no segment.</summary>
    public VirtQueueFault Add(ulong address, uint length, bool writable)
    {
        // Counting descriptors, not segments, also bounds the time spent on a huge indirect table of empty buffers.
        if (_descriptors == _segments.Length)
            return VirtQueueFault.TooManySegments;
        _descriptors++;
        if (_writableSeen && !writable)
            return VirtQueueFault.ReadableAfterWritable;
        _writableSeen |= writable;
        if (_bytes + length > uint.MaxValue)
            return VirtQueueFault.ChainTooLong;
        _bytes += length;
        if (!writable)
            _readableBytes += length;
        VirtQueueFault fault = AddRanges(address, length);
        if (!writable)
            _readable = _count;
        return fault;
    }

    /// <summary>One range, or several where regions of guest memory adjoin.</summary>
    private VirtQueueFault AddRanges(ulong address, uint length)
    {
        ReadOnlySpan<GuestMemoryRegion> regions = memory.Regions;
        ulong left = length;
        while (left > 0)
        {
            int index = 0;
            while (index < regions.Length && address - regions[index].Start.Value >= regions[index].SizeBytes)
                index++;
            if (index == regions.Length)
                return VirtQueueFault.BufferOutsideMemory;
            if (_count == _segments.Length)
                return VirtQueueFault.TooManySegments;
            ref readonly GuestMemoryRegion region = ref regions[index];
            ulong offset = address - region.Start.Value;
            ulong take = Math.Min(left, region.SizeBytes - offset);
            // SAFETY: offset + take is at most the region's size.
            _segments[_count++] = new IoVec(region.Pointer + offset, (nuint)take);
            left -= take;
            address += take;
        }

        return VirtQueueFault.None;
    }
}
