using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// The guest's requests in flight of one queue, indexed by <see cref="VirtQueueToken.Slot"/>: what outlives the chain. The segments
/// are in native memory, because the kernel reads them while the request runs.
/// </summary>
internal sealed unsafe class BlockRequestSlots : IDisposable
{
    private readonly int _segmentsPerSlot;
    private readonly MappedRegion _segments;
    private readonly Slot[] _slots;

    /// <summary>Throws <see cref="LinuxException"/> when the host has no memory for them.</summary>
    public BlockRequestSlots(int count, int segmentsPerSlot)
    {
        _segmentsPerSlot = segmentsPerSlot;
        // Untouched pages cost nothing, so the worst case may be large.
        _segments = MappedRegion.MapPrivate((ulong)count * (ulong)segmentsPerSlot * (ulong)sizeof(IoVec));
        _slots = new Slot[count];
    }

    public ref Slot this[int index] => ref _slots[index];

    /// <summary>Room for the segments of a slot.</summary>
    public Span<IoVec> Segments(int index) => new(Pointer(index), _segmentsPerSlot);

    // SAFETY: a slot index is below the queue's size, which is the count of slots.
    public IoVec* Pointer(int index) => (IoVec*)_segments.Pointer + (nuint)index * (nuint)_segmentsPerSlot;

    public void Dispose() => _segments.Dispose();

    public struct Slot
    {
        public VirtQueueToken Token;

        /// <summary>Where the status byte goes.</summary>
        public byte* Status;

        /// <summary>What the used entry says.</summary>
        public uint BytesWritten;

        /// <summary>Result that means success: the length of a transfer, else 0.</summary>
        public int Expected;
    }
}
