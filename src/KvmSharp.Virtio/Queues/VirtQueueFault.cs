namespace KvmSharp.Virtio.Queues;

/// <summary>How a driver broke the virtqueue protocol. A fault lasts until the device is reset.</summary>
public enum VirtQueueFault : byte
{
    None,

    /// <summary>Size zero, over 32768, or not a power of two (split).</summary>
    BadSize,

    /// <summary>An area does not have its alignment.</summary>
    MisalignedArea,

    /// <summary>An area is not wholly inside one region of guest memory.</summary>
    AreaOutsideMemory,

    /// <summary>Saved cursors that no queue of this size can have.</summary>
    BadState,

    /// <summary>The available index moved by more than the queue can hold, or backwards.</summary>
    AvailIndexJump,

    /// <summary>A head index past the descriptor table.</summary>
    HeadOutOfRange,

    /// <summary>A next index past the descriptor table it is in.</summary>
    NextOutOfRange,

    /// <summary>A chain with more descriptors than its table has.</summary>
    ChainLoop,

    /// <summary>A packed chain that goes on into a descriptor that was not made available.</summary>
    NextNotAvailable,

    /// <summary>More descriptors available than the ring has free.</summary>
    Oversubscribed,

    /// <summary>VIRTQ_DESC_F_INDIRECT without VIRTIO_F_INDIRECT_DESC.</summary>
    IndirectNotNegotiated,

    /// <summary>VIRTQ_DESC_F_INDIRECT together with VIRTQ_DESC_F_NEXT, or, packed, at the end of a list.</summary>
    IndirectInChain,

    /// <summary>VIRTQ_DESC_F_INDIRECT inside an indirect table.</summary>
    NestedIndirect,

    /// <summary>An indirect table of no entries, of a broken entry, or outside guest memory.</summary>
    BadIndirectTable,

    /// <summary>A device-readable buffer after a device-writable one.</summary>
    ReadableAfterWritable,

    /// <summary>A buffer that is not all guest memory.</summary>
    BufferOutsideMemory,

    /// <summary>Buffers of 4 GiB or more in one chain.</summary>
    ChainTooLong,

    /// <summary>More descriptors than the device takes in one chain.</summary>
    TooManySegments,
}
