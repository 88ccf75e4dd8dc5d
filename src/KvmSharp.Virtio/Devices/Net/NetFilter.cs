using System.Buffers.Binary;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>
/// Which packets from the host the driver wants (virtio 1.2 §5.1.6.5). Immutable: the control queue replaces it whole, so that
/// receivers need no lock.
/// </summary>
internal sealed record NetFilter
{
    /// <summary>Destination, source, type, and the tag behind it.</summary>
    public const int HeadLength = 18;

    private const ushort VlanType = 0x8100;
    private const ulong Broadcast = 0xffff_ffff_ffff;

    /// <summary>The device's own address.</summary>
    public required ulong Mac { get; init; }

    /// <summary>A driver that never says what it wants gets everything.</summary>
    public bool Promiscuous { get; init; } = true;

    public bool AllMulticast { get; init; }

    public bool AllUnicast { get; init; }

    public bool NoMulticast { get; init; }

    public bool NoUnicast { get; init; }

    public bool NoBroadcast { get; init; }

    /// <summary>Null: there were more than are kept, so all pass.</summary>
    public ulong[]? Unicast { get; init; } = [];

    /// <inheritdoc cref="Unicast"/>
    public ulong[]? Multicast { get; init; } = [];

    /// <summary>A bit for each VLAN that passes; null: the driver does not filter.</summary>
    public ulong[]? Vlans { get; init; }

    /// <summary>True for a packet that starts with <paramref name="head"/>, of at least 14 bytes.</summary>
    public bool Passes(ReadOnlySpan<byte> head)
    {
        if (Vlans is { } vlans && head.Length >= HeadLength && BinaryPrimitives.ReadUInt16BigEndian(head[12..]) == VlanType)
        {
            int vlan = BinaryPrimitives.ReadUInt16BigEndian(head[14..]) & 0xfff;
            if ((vlans[vlan >> 6] >> (vlan & 63) & 1) == 0)
                return false;
        }

        if (Promiscuous)
            return true;
        ulong destination = (ulong)BinaryPrimitives.ReadUInt16BigEndian(head) << 32 | BinaryPrimitives.ReadUInt32BigEndian(head[2..]);
        if (destination == Broadcast)
            return !NoBroadcast;
        if ((head[0] & 1) != 0)
            return !NoMulticast && (AllMulticast || Multicast is not { } multicast || multicast.AsSpan().Contains(destination));
        return !NoUnicast && (AllUnicast || destination == Mac || Unicast is not { } unicast || unicast.AsSpan().Contains(destination));
    }
}
