using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Serve.Net;

/// <summary>Network interfaces. Those on the switch are on the same one.</summary>
internal sealed class NetType : IServedType
{
    /// <summary>
    /// What is about the control queue, which the front end serves and we do not see, and about the configuration, which is the front end's.
    /// </summary>
    private const ulong FrontEndFeatures = 1UL << VIRTIO_NET_F_CTRL_VLAN | 1UL << VIRTIO_NET_F_CTRL_MAC_ADDR | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS |
        1UL << VIRTIO_NET_F_GUEST_ANNOUNCE | 1UL << VIRTIO_NET_F_MAC | 1UL << VIRTIO_NET_F_MTU;

    private readonly L2Switch _switch = new();

    public string Name => "net";

    public OptionSpec PortOption => NetPortConfig.Option;

    public IServedDevice Create(string name, OptionValues values, IReadOnlyList<EventLoop> loops)
    {
        NetPortConfig config = NetPortConfig.Read(values);
        return config.Kind is { } kind ? CreatePort(name, config, kind, loops) : CreateTap(name, config, loops);
    }

    private ServedNet CreatePort(string name, NetPortConfig config, NetPortKind kind, IReadOnlyList<EventLoop> loops)
    {
        FrameCapture? capture = config.Capture is { } path ? new FrameCapture(path, config.CaptureLimitBytes) : null;
        try
        {
            SwitchPort? place = kind == NetPortKind.Switch ? _switch.Join() : null;
            var port = new NetPort(name, config.Queues, place ?? (IPortEnd)new NullEnd(config.GeneratedBytes), capture, loops);
            place?.Bind(port.Pairs);
            return new ServedNet(port, config.Queues);
        }
        catch
        {
            capture?.Dispose();
            throw;
        }
    }

    private static ServedNet CreateTap(string name, NetPortConfig config, IReadOnlyList<EventLoop> loops)
    {
        INetBackend end = TapBackend.Open(new TapOptions { Name = config.Tap, Bridge = config.Bridge, QueuePairs = config.Queues });
        try
        {
            if (config.Capture is { } path)
                end = new CapturedBackend(end, new FrameCapture(path, config.CaptureLimitBytes));
            var options = new VirtioNetOptions
            {
                Name = name, Mac = MacAddress.Derive(name, 0), QueueSize = VirtioNetOptions.MaxQueueSize, WithheldFeatures = FrontEndFeatures, LinkCheckNs = 0,
                PairsFollowQueues = true,
            };
            return new ServedNet(new VirtioNetDevice(options, end, loops), config.Queues);
        }
        catch
        {
            end.Dispose();
            throw;
        }
    }
}
