using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_net.h: feature bit numbers, status bits, commands of the control queue.</summary>
public static class VirtioNet
{
    // Bit numbers, not masks.
    public const int VIRTIO_NET_F_CSUM = 0, VIRTIO_NET_F_GUEST_CSUM = 1, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2, VIRTIO_NET_F_MTU = 3,
        VIRTIO_NET_F_MAC = 5, VIRTIO_NET_F_GUEST_TSO4 = 7, VIRTIO_NET_F_GUEST_TSO6 = 8, VIRTIO_NET_F_GUEST_ECN = 9,
        VIRTIO_NET_F_HOST_TSO4 = 11, VIRTIO_NET_F_HOST_TSO6 = 12, VIRTIO_NET_F_HOST_ECN = 13, VIRTIO_NET_F_MRG_RXBUF = 15,
        VIRTIO_NET_F_STATUS = 16, VIRTIO_NET_F_CTRL_VQ = 17, VIRTIO_NET_F_CTRL_RX = 18, VIRTIO_NET_F_CTRL_VLAN = 19,
        VIRTIO_NET_F_CTRL_RX_EXTRA = 20, VIRTIO_NET_F_GUEST_ANNOUNCE = 21, VIRTIO_NET_F_MQ = 22, VIRTIO_NET_F_CTRL_MAC_ADDR = 23;

    // In virtio 1.2 and in headers newer than Linux 6.1.
    public const int VIRTIO_NET_F_GUEST_USO4 = 54, VIRTIO_NET_F_GUEST_USO6 = 55, VIRTIO_NET_F_HOST_USO = 56;

    public const byte VIRTIO_NET_HDR_F_NEEDS_CSUM = 1, VIRTIO_NET_HDR_F_DATA_VALID = 2;

    public const byte VIRTIO_NET_HDR_GSO_NONE = 0, VIRTIO_NET_HDR_GSO_TCPV4 = 1, VIRTIO_NET_HDR_GSO_TCPV6 = 4, VIRTIO_NET_HDR_GSO_ECN = 0x80;

    public const ushort VIRTIO_NET_S_LINK_UP = 1, VIRTIO_NET_S_ANNOUNCE = 2;

    public const byte VIRTIO_NET_OK = 0, VIRTIO_NET_ERR = 1;

    public const byte VIRTIO_NET_CTRL_RX = 0, VIRTIO_NET_CTRL_RX_PROMISC = 0, VIRTIO_NET_CTRL_RX_ALLMULTI = 1, VIRTIO_NET_CTRL_RX_ALLUNI = 2,
        VIRTIO_NET_CTRL_RX_NOMULTI = 3, VIRTIO_NET_CTRL_RX_NOUNI = 4, VIRTIO_NET_CTRL_RX_NOBCAST = 5;

    public const byte VIRTIO_NET_CTRL_MAC = 1, VIRTIO_NET_CTRL_MAC_TABLE_SET = 0, VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;

    public const byte VIRTIO_NET_CTRL_VLAN = 2, VIRTIO_NET_CTRL_VLAN_ADD = 0, VIRTIO_NET_CTRL_VLAN_DEL = 1;

    public const byte VIRTIO_NET_CTRL_ANNOUNCE = 3, VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0;

    public const byte VIRTIO_NET_CTRL_MQ = 4, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0;

    public const byte VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET = 0;
}

/// <summary><c>struct virtio_net_config</c>, linux/virtio_net.h (packed).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public unsafe struct virtio_net_config
{
    public fixed byte mac[6];
    public ushort status;
    public ushort max_virtqueue_pairs;
    public ushort mtu;
    public uint speed;
    public byte duplex;
    public byte rss_max_key_size;
    public ushort rss_max_indirection_table_length;
    public uint supported_hash_types;
}

/// <summary><c>struct virtio_net_hdr_v1</c>, linux/virtio_net.h: in front of every packet; integers are little-endian.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct virtio_net_hdr_v1
{
    public byte flags;
    public byte gso_type;
    public ushort hdr_len;
    public ushort gso_size;
    public ushort csum_start;
    public ushort csum_offset;
    public ushort num_buffers;
}
