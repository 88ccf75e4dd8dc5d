namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_ring.h: flags and feature bit numbers of split and packed virtqueues.</summary>
public static class VirtioRing
{
    public const ushort VRING_DESC_F_NEXT = 1, VRING_DESC_F_WRITE = 2, VRING_DESC_F_INDIRECT = 4;

    // Bit numbers in the flags of a packed descriptor.
    public const int VRING_PACKED_DESC_F_AVAIL = 7, VRING_PACKED_DESC_F_USED = 15;

    public const ushort VRING_USED_F_NO_NOTIFY = 1, VRING_AVAIL_F_NO_INTERRUPT = 1;

    public const ushort VRING_PACKED_EVENT_FLAG_ENABLE = 0, VRING_PACKED_EVENT_FLAG_DISABLE = 1, VRING_PACKED_EVENT_FLAG_DESC = 2;
    public const int VRING_PACKED_EVENT_F_WRAP_CTR = 15;

    // Bit numbers, not masks.
    public const int VIRTIO_RING_F_INDIRECT_DESC = 28, VIRTIO_RING_F_EVENT_IDX = 29;

    public const int VRING_DESC_ALIGN_SIZE = 16, VRING_AVAIL_ALIGN_SIZE = 2, VRING_USED_ALIGN_SIZE = 4;
}
