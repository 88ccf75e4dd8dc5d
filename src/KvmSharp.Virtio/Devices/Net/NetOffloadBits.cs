using KvmSharp.Backends.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>Feature bits of offloads and what they mean to the host.</summary>
internal static class NetOffloadBits
{
    /// <summary>Those the control queue may turn off and on again.</summary>
    public const ulong Guest = 1UL << VIRTIO_NET_F_GUEST_CSUM | Segmentation | 1UL << VIRTIO_NET_F_GUEST_ECN;

    /// <summary>Those with which packets are larger than the MTU.</summary>
    public const ulong Segmentation = 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_GUEST_TSO6 |
        1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6;

    private const ulong Transmit = 1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_HOST_TSO4 | 1UL << VIRTIO_NET_F_HOST_TSO6 | 1UL << VIRTIO_NET_F_HOST_ECN;

    /// <summary>All that change what a packet looks like.</summary>
    public const ulong Packets = Guest | Transmit | 1UL << VIRTIO_NET_F_HOST_USO;

    /// <summary>What a device can offer on this host.</summary>
    public static ulong Offered(NetOffloads supported)
    {
        if ((supported & NetOffloads.Checksum) == 0)
            return 0;
        ulong features = Transmit | 1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
        features |= (supported & NetOffloads.Tso4) != 0 ? 1UL << VIRTIO_NET_F_GUEST_TSO4 : 0;
        features |= (supported & NetOffloads.Tso6) != 0 ? 1UL << VIRTIO_NET_F_GUEST_TSO6 : 0;
        features |= (supported & NetOffloads.Ecn) != 0 ? 1UL << VIRTIO_NET_F_GUEST_ECN : 0;
        bool uso = (supported & (NetOffloads.Uso4 | NetOffloads.Uso6)) == (NetOffloads.Uso4 | NetOffloads.Uso6);
        features |= uso ? 1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6 | 1UL << VIRTIO_NET_F_HOST_USO : 0;
        return features;
    }

    /// <summary>What the guest copes with.</summary>
    public static NetOffloads ToHost(ulong guest)
    {
        // Without partial checksums there is no segmentation either (virtio 1.2 §5.1.3.1).
        if ((guest & 1UL << VIRTIO_NET_F_GUEST_CSUM) == 0)
            return NetOffloads.None;
        NetOffloads offloads = NetOffloads.Checksum;
        offloads |= (guest & 1UL << VIRTIO_NET_F_GUEST_TSO4) != 0 ? NetOffloads.Tso4 : 0;
        offloads |= (guest & 1UL << VIRTIO_NET_F_GUEST_TSO6) != 0 ? NetOffloads.Tso6 : 0;
        bool tso = (offloads & (NetOffloads.Tso4 | NetOffloads.Tso6)) != 0;
        offloads |= tso && (guest & 1UL << VIRTIO_NET_F_GUEST_ECN) != 0 ? NetOffloads.Ecn : 0;
        const ulong Uso = 1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6;
        offloads |= (guest & Uso) == Uso ? NetOffloads.Uso4 | NetOffloads.Uso6 : 0;
        return offloads;
    }
}
