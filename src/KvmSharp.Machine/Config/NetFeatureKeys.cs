using System.Text.Json;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Machine.Config;

/// <summary>The keys of a network interface that turn virtio features off. What depends on a feature goes with it.</summary>
internal static class NetFeatureKeys
{
    public const ulong ControlQueue = 1UL << VIRTIO_NET_F_CTRL_VQ;

    public static IReadOnlyList<(OptionKey Key, ulong Bits)> All { get; } =
    [
        Key("mrg_rxbuf", 1UL << VIRTIO_NET_F_MRG_RXBUF),
        Key("csum", 1UL << VIRTIO_NET_F_CSUM),
        Key("guest_csum", 1UL << VIRTIO_NET_F_GUEST_CSUM),
        Key("host_tso4", 1UL << VIRTIO_NET_F_HOST_TSO4),
        Key("host_tso6", 1UL << VIRTIO_NET_F_HOST_TSO6),
        Key("guest_tso4", 1UL << VIRTIO_NET_F_GUEST_TSO4),
        Key("guest_tso6", 1UL << VIRTIO_NET_F_GUEST_TSO6),
        Key("host_uso", 1UL << VIRTIO_NET_F_HOST_USO),
        // The host's tap takes both or none.
        Key("guest_uso", 1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6),
        Key("ctrl_vq", ControlQueue),
    ];

    public static ulong ReadWithheld(OptionValues values)
    {
        ulong withheld = 0;
        foreach ((OptionKey key, ulong bits) in All)
            withheld |= values.Boolean(key.Name) ?? true ? 0 : bits;
        return withheld;
    }

    public static void Write(Utf8JsonWriter writer, ulong withheld)
    {
        foreach ((OptionKey key, ulong bits) in All)
            writer.WriteBoolean(key.Name, (withheld & bits) == 0);
    }

    private static (OptionKey Key, ulong Bits) Key(string name, ulong bits) => (new OptionKey(name, OptionKeyKind.Boolean), bits);
}
