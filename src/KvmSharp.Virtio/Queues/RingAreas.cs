using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Virtio.Queues;

/// <summary>Where the areas of a virtqueue are in our address space. Each is whole: all that the size says is inside guest memory.</summary>
internal readonly unsafe struct RingAreas
{
    private const int DescriptorBytes = 16;
    private const ulong EventSuppressionBytes = 4;

    private RingAreas(byte* descriptor, byte* driver, byte* device)
    {
        Descriptor = descriptor;
        Driver = driver;
        Device = device;
    }

    public byte* Descriptor { get; }

    public byte* Driver { get; }

    public byte* Device { get; }

    /// <summary>Checks size, alignment (virtio 1.2 §2.7, §2.8.10) and that the areas are guest memory.</summary>
    public static VirtQueueFault Resolve(VirtQueueConfig config, GuestMemory memory, bool packed, out RingAreas areas)
    {
        areas = default;
        uint size = config.Size;
        if (size is 0 or > VirtQueueConfig.SizeLimit || (!packed && (size & (size - 1)) != 0))
            return VirtQueueFault.BadSize;
        uint driverAlign = packed ? (uint)EventSuppressionBytes : VRING_AVAIL_ALIGN_SIZE;
        if (config.DescriptorArea.Value % VRING_DESC_ALIGN_SIZE != 0 || config.DriverArea.Value % driverAlign != 0 || config.DeviceArea.Value % VRING_USED_ALIGN_SIZE != 0)
            return VirtQueueFault.MisalignedArea;
        // The rings of a split virtqueue end with the event index, whether it is used or not (virtio 1.2 §2.7).
        if (!memory.TryGetPointer(config.DescriptorArea, DescriptorBytes * size, out byte* descriptor) ||
            !memory.TryGetPointer(config.DriverArea, packed ? EventSuppressionBytes : 6 + 2 * size, out byte* driver) ||
            !memory.TryGetPointer(config.DeviceArea, packed ? EventSuppressionBytes : 6 + 8 * size, out byte* device))
            return VirtQueueFault.AreaOutsideMemory;
        areas = new RingAreas(descriptor, driver, device);
        return VirtQueueFault.None;
    }
}
