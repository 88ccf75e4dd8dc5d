using KvmSharp.TestKit.Virtio;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>The driver's command for the number of queue pairs (virtio 1.2 §5.1.6.5.5), on a device of two pairs.</summary>
internal static class PairsCommand
{
    private const int ControlQueue = 4;

    /// <summary>Gives back the device's answer.</summary>
    public static byte SetPairs(this VirtioDeviceBed bed, byte pairs)
    {
        const ulong At = VirtioDeviceBed.Data;
        bed.WriteMemory(At, [VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 0]);
        bed.Drivers[ControlQueue].TryAdd([new DriverBuffer(At, 4, false), new DriverBuffer(At + 4096, 1, true)], 1);
        bed.Submit(ControlQueue);
        bed.Take(ControlQueue, out _);
        return bed.ReadMemory(At + 4096, 1)[0];
    }
}
