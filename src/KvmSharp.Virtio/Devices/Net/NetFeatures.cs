using KvmSharp.Backends.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>What a network interface offers.</summary>
internal static class NetFeatures
{
    private const ulong Csum = 1UL << VIRTIO_NET_F_CSUM;
    private const ulong GuestCsum = 1UL << VIRTIO_NET_F_GUEST_CSUM;
    private const ulong HostTso = 1UL << VIRTIO_NET_F_HOST_TSO4 | 1UL << VIRTIO_NET_F_HOST_TSO6;
    private const ulong HostEcn = 1UL << VIRTIO_NET_F_HOST_ECN;
    private const ulong HostUso = 1UL << VIRTIO_NET_F_HOST_USO;
    private const ulong GuestTso = 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_GUEST_TSO6;
    private const ulong GuestEcn = 1UL << VIRTIO_NET_F_GUEST_ECN;
    private const ulong GuestOffloads = 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    private const ulong ControlQueue = 1UL << VIRTIO_NET_F_CTRL_VQ;

    private const ulong Commands = 1UL << VIRTIO_NET_F_CTRL_RX | 1UL << VIRTIO_NET_F_CTRL_RX_EXTRA | 1UL << VIRTIO_NET_F_CTRL_VLAN |
        1UL << VIRTIO_NET_F_CTRL_MAC_ADDR | 1UL << VIRTIO_NET_F_GUEST_ANNOUNCE;

    private const ulong Basic = 1UL << VIRTIO_NET_F_MAC | 1UL << VIRTIO_NET_F_MTU | 1UL << VIRTIO_NET_F_STATUS | 1UL << VIRTIO_NET_F_MRG_RXBUF;

    /// <summary>All that this back end allows without what is withheld and what depends on that (virtio 1.2 §5.1.3.1).</summary>
    public static ulong Offered(INetBackend backend, ulong withheld)
    {
        ulong multiqueue = backend.QueuePairs > 1 ? 1UL << VIRTIO_NET_F_MQ : 0;
        ulong features = (Basic | ControlQueue | Commands | multiqueue | NetOffloadBits.Offered(backend.SupportedOffloads)) & ~withheld;
        features = Without(features, ControlQueue, Commands | GuestOffloads | multiqueue);
        features = Without(features, Csum, HostTso | HostUso);
        features = Without(features, HostTso, HostEcn);
        features = Without(features, GuestCsum, NetOffloadBits.Segmentation);
        features = Without(features, GuestTso, GuestEcn);
        return Without(features, NetOffloadBits.Guest, GuestOffloads);
    }

    /// <summary>Takes the dependents away if there is none of what they need.</summary>
    private static ulong Without(ulong features, ulong needed, ulong dependents) => (features & needed) != 0 ? features : features & ~dependents;
}
