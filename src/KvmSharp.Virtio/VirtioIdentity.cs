namespace KvmSharp.Virtio;

/// <summary>What a device is and what it offers; never changes.</summary>
public sealed record VirtioIdentity
{
    /// <summary>Names the device in logs and exit counters.</summary>
    public required string Name { get; init; }

    /// <summary>Virtio device id (virtio 1.2 §5).</summary>
    public required uint DeviceId { get; init; }

    /// <summary>Features of the device type: bits 0 to 23 and from 50 on. The transport adds those of rings and of itself.</summary>
    public ulong DeviceFeatures { get; init; }

    /// <summary>Ring features that whoever serves the queues understands; the transport offers no others.</summary>
    public ulong RingFeatures { get; init; } = ulong.MaxValue;

    /// <summary>Bytes of device configuration.</summary>
    public uint ConfigLength { get; init; }

    /// <summary>Largest size of each queue; their number is the number of queues.</summary>
    public required IReadOnlyList<ushort> QueueSizes { get; init; }

    /// <summary>Most descriptors in one chain.</summary>
    public int SegmentLimit { get; init; } = 1024;

    /// <summary>PCI base class and subclass when on virtio-pci.</summary>
    public byte PciBaseClass { get; init; }

    public byte PciSubclass { get; init; } = 0xff;
}
