using static KvmSharp.Abi.Virtio.VirtioConfig;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Virtio;

/// <summary>Masks of the device-independent feature bits (virtio 1.2 §6).</summary>
public static class VirtioFeatures
{
    public const ulong IndirectDesc = 1UL << VIRTIO_RING_F_INDIRECT_DESC;
    public const ulong EventIdx = 1UL << VIRTIO_RING_F_EVENT_IDX;
    public const ulong Version1 = 1UL << VIRTIO_F_VERSION_1;
    public const ulong RingPacked = 1UL << VIRTIO_F_RING_PACKED;
    public const ulong InOrder = 1UL << VIRTIO_F_IN_ORDER;
    public const ulong NotificationData = 1UL << VIRTIO_F_NOTIFICATION_DATA;
    public const ulong RingReset = 1UL << VIRTIO_F_RING_RESET;

    /// <summary>What <see cref="Queues.VirtQueue"/> implements.</summary>
    public const ulong Ring = IndirectDesc | EventIdx | RingPacked | InOrder;
}
