using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Transport;

/// <summary>The three 64-bit area addresses of a queue, as drivers write them: by halves.</summary>
internal static class QueueAreas
{
    /// <param name="area">0: descriptor, 1: driver, 2: device area; others are ignored.</param>
    public static void Write(VirtQueueConfig config, int area, bool high, uint value)
    {
        switch (area)
        {
            case 0:
                config.DescriptorArea = Merge(config.DescriptorArea, high, value);
                break;
            case 1:
                config.DriverArea = Merge(config.DriverArea, high, value);
                break;
            case 2:
                config.DeviceArea = Merge(config.DeviceArea, high, value);
                break;
        }
    }

    private static GuestAddress Merge(GuestAddress old, bool high, uint value) => new(high
        ? (ulong)value << 32 | (uint)old.Value
        : old.Value & 0xffff_ffff_0000_0000 | value);
}
