namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_ids.h: virtio device ids.</summary>
public static class VirtioIds
{
    public const uint VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4, VIRTIO_ID_BALLOON = 5,
        VIRTIO_ID_SCSI = 8, VIRTIO_ID_9P = 9, VIRTIO_ID_GPU = 16, VIRTIO_ID_INPUT = 18, VIRTIO_ID_VSOCK = 19, VIRTIO_ID_CRYPTO = 20,
        VIRTIO_ID_IOMMU = 23, VIRTIO_ID_MEM = 24, VIRTIO_ID_SOUND = 25, VIRTIO_ID_FS = 26, VIRTIO_ID_PMEM = 27;
}
