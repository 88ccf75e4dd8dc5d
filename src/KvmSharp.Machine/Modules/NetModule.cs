using KvmSharp.Backends.Net;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Machine.Modules;

/// <summary>Network interfaces.</summary>
internal static class NetModule
{
    public static void Attach(BoardContext board, NetConfig config)
    {
        int index = board.Config.Devices.OfType<NetConfig>().TakeWhile(d => !ReferenceEquals(d, config)).Count();
        TapBackend tap = board.HostEnds.Get(config, () => TapBackend.Open(new TapOptions
        {
            Name = config.Tap, QueuePairs = config.Queues, Bridge = config.Bridge, Mtu = config.Mtu,
        }));
        var options = new VirtioNetOptions { Name = config.Id ?? $"net{index}", Mac = config.Mac ?? MacAddress.Derive(board.Config.Name, index) };
        board.Virtio.Attach(new VirtioNetDevice(options, new BorrowedNetBackend(tap), board.Virtio.GetIoThreads(config.IoThread, config.Queues)));
    }
}
