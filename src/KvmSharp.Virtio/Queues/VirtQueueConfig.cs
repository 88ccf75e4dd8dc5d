using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>What the driver programs about one virtqueue through the transport (virtio 1.2 §4.1.4.3), and what is saved of it.</summary>
public sealed class VirtQueueConfig
{
    /// <summary>Largest size of any virtqueue, in descriptors.</summary>
    public const ushort SizeLimit = 32768;

    /// <summary>Entries; at most <see cref="SizeLimit"/>, for a split virtqueue a power of two.</summary>
    public ushort Size { get; set; }

    /// <summary>Split: descriptor table; packed: descriptor ring. Aligned to 16.</summary>
    public GuestAddress DescriptorArea { get; set; }

    /// <summary>Split: available ring, aligned to 2; packed: driver event suppression, aligned to 4.</summary>
    public GuestAddress DriverArea { get; set; }

    /// <summary>Split: used ring; packed: device event suppression. Aligned to 4.</summary>
    public GuestAddress DeviceArea { get; set; }

    /// <summary>MSI-X table entry of the queue, VIRTIO_MSI_NO_VECTOR for none.</summary>
    public ushort Vector { get; set; } = Abi.Virtio.VirtioPci.VIRTIO_MSI_NO_VECTOR;

    public bool Enabled { get; set; }

    /// <summary>
    /// Most descriptors, and most host ranges, in one chain, indirect ones included. Set by the device, not by the driver, which
    /// may legally chain as many as the queue has entries.
    /// </summary>
    public int SegmentLimit { get; init; } = 1024;

    public VirtQueueConfig Clone() => (VirtQueueConfig)MemberwiseClone();
}
