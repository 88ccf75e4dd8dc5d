namespace KvmSharp.Abi;

/// <summary>Constants of linux/if_tun.h, linux/if.h, linux/sockios.h and sys/socket.h, under their C names.</summary>
public static class NetConstants
{
    public const uint TUNSETIFF = 0x400454CA, TUNSETPERSIST = 0x400454CB, TUNGETFEATURES = 0x800454CF, TUNSETOFFLOAD = 0x400454D0,
        TUNGETIFF = 0x800454D2, TUNGETVNETHDRSZ = 0x800454D7, TUNSETVNETHDRSZ = 0x400454D8, TUNSETQUEUE = 0x400454D9;

    public const ushort IFF_TUN = 1, IFF_TAP = 2, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000, IFF_TUN_EXCL = 0x8000, IFF_MULTI_QUEUE = 0x100,
        IFF_ATTACH_QUEUE = 0x200, IFF_DETACH_QUEUE = 0x400, IFF_PERSIST = 0x800;

    public const uint TUN_F_CSUM = 1, TUN_F_TSO4 = 2, TUN_F_TSO6 = 4, TUN_F_TSO_ECN = 8, TUN_F_UFO = 0x10, TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40;

    public const int IFNAMSIZ = 16;
    public const short IFF_UP = 1, IFF_RUNNING = 0x40;

    public const uint SIOCGIFFLAGS = 0x8913, SIOCSIFFLAGS = 0x8914, SIOCGIFMTU = 0x8921, SIOCSIFMTU = 0x8922, SIOCGIFINDEX = 0x8933,
        SIOCBRADDIF = 0x89A2;

    public const int AF_INET = 2, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0x80000;
}
