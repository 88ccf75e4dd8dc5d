namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_config.h: device status bits and the feature bit numbers of the transport.</summary>
public static class VirtioConfig
{
    public const byte VIRTIO_CONFIG_S_ACKNOWLEDGE = 1, VIRTIO_CONFIG_S_DRIVER = 2, VIRTIO_CONFIG_S_DRIVER_OK = 4,
        VIRTIO_CONFIG_S_FEATURES_OK = 8, VIRTIO_CONFIG_S_NEEDS_RESET = 0x40, VIRTIO_CONFIG_S_FAILED = 0x80;

    // Bit numbers, not masks.
    public const int VIRTIO_TRANSPORT_F_START = 28, VIRTIO_F_NOTIFY_ON_EMPTY = 24, VIRTIO_F_ANY_LAYOUT = 27,
        VIRTIO_F_VERSION_1 = 32, VIRTIO_F_ACCESS_PLATFORM = 33, VIRTIO_F_RING_PACKED = 34, VIRTIO_F_IN_ORDER = 35,
        VIRTIO_F_ORDER_PLATFORM = 36, VIRTIO_F_SR_IOV = 37, VIRTIO_F_RING_RESET = 40;

    // In virtio 1.2 §6 and in headers newer than Linux 6.1.
    public const int VIRTIO_F_NOTIFICATION_DATA = 38, VIRTIO_F_NOTIF_CONFIG_DATA = 39;
}
