namespace KvmSharp.Abi;

/// <summary>Constants of linux/if_packet.h and sys/socket.h, under their C names.</summary>
public static class PacketConstants
{
    public const int AF_PACKET = 17, SOCK_RAW = 3, SOL_PACKET = 263, PACKET_QDISC_BYPASS = 20;
}
