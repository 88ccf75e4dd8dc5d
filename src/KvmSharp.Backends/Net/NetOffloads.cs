namespace KvmSharp.Backends.Net;

/// <summary>What the receiver of a back end's packets copes with: TUN_F_* and VIRTIO_NET_F_GUEST_* in one.</summary>
[Flags]
public enum NetOffloads
{
    None = 0,

    /// <summary>Packets with a partial checksum.</summary>
    Checksum = 1,
    Tso4 = 2,
    Tso6 = 4,

    /// <summary>TCP segmentation with ECN.</summary>
    Ecn = 8,

    /// <summary>UDP fragmentation (legacy UFO).</summary>
    Ufo = 16,

    /// <summary>UDP segmentation (USO), IPv4.</summary>
    Uso4 = 32,
    Uso6 = 64,
}
