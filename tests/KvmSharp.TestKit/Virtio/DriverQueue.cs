using KvmSharp.Core.Memory;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.TestKit.Virtio;

/// <summary>
/// The driver side of a virtqueue, written from the specification for tests. Owned by one thread, which may be another one than
/// the device's. Refuses (throws) when the device breaks a rule.
/// </summary>
public abstract unsafe class DriverQueue
{
    /// <summary>Entries each indirect table can have; there is one table per ring entry.</summary>
    public const int IndirectEntries = 32;

    private readonly ulong _indirectArea;

    protected DriverQueue(GuestMemory memory, ulong start, ushort size, ulong features)
    {
        Memory = memory;
        Size = size;
        Features = features;
        DescriptorArea = Align(start);
        DriverArea = Align(DescriptorArea + 16UL * size);
        DeviceArea = Align(DriverArea + 6 + 2UL * size);
        _indirectArea = Align(DeviceArea + 6 + 8UL * size);
        End = Align(_indirectArea + 16UL * IndirectEntries * size);
        new Span<byte>(Pointer(DescriptorArea, End - DescriptorArea), (int)(End - DescriptorArea)).Clear();
    }

    public GuestMemory Memory { get; }

    public ushort Size { get; }

    public ulong Features { get; }

    public ulong DescriptorArea { get; }

    public ulong DriverArea { get; }

    public ulong DeviceArea { get; }

    /// <summary>First address behind everything the queue uses.</summary>
    public ulong End { get; }

    public bool EventIdx => (Features & VirtioFeatures.EventIdx) != 0;

    public bool InOrder => (Features & VirtioFeatures.InOrder) != 0;

    /// <summary>Free entries of the ring.</summary>
    public abstract int Free { get; }

    public static DriverQueue Create(GuestMemory memory, ulong start, ushort size, ulong features) =>
        (features & VirtioFeatures.RingPacked) != 0
            ? new PackedDriverQueue(memory, start, size, features)
            : new SplitDriverQueue(memory, start, size, features);

    public VirtQueueConfig ToConfig() => new()
    {
        Size = Size,
        DescriptorArea = new GuestAddress(DescriptorArea),
        DriverArea = new GuestAddress(DriverArea),
        DeviceArea = new GuestAddress(DeviceArea),
        Enabled = true,
    };

    /// <summary>The device side of this queue, from its first state. Throws on a fault.</summary>
    public VirtQueue Open() => Open(VirtQueueState.Initial(Features));

    public VirtQueue Open(VirtQueueState state)
    {
        VirtQueueFault fault = VirtQueue.Open(ToConfig(), Memory, Features, state, out VirtQueue? queue);
        return fault == VirtQueueFault.None ? queue! : throw new InvalidOperationException($"queue does not open: {fault}");
    }

    /// <summary>Adds a chain; the device sees it after <see cref="Publish"/>. False when the ring is full.</summary>
    public abstract bool TryAdd(ReadOnlySpan<DriverBuffer> buffers, int cookie, bool indirect = false);

    /// <summary>Makes added chains available. True: the device asked to be kicked.</summary>
    public abstract bool Publish();

    /// <summary>Takes the next used chain.</summary>
    public abstract bool TryTakeUsed(out int cookie, out uint written);

    public abstract void DisableInterrupts();

    /// <summary>True: armed. False: something was used meanwhile.</summary>
    public abstract bool TryEnableInterrupts();

    protected byte* Pointer(ulong address, ulong length) =>
        Memory.TryGetPointer(new GuestAddress(address), length, out byte* host) ? host : throw new InvalidOperationException("outside memory");

    protected ulong IndirectTable(int index) => _indirectArea + 16UL * IndirectEntries * (ulong)index;

    private static ulong Align(ulong value) => (value + 63) & ~63UL;
}
