namespace KvmSharp.Abi;

/// <summary>Constants of linux/netlink.h, linux/rtnetlink.h and linux/if_link.h, under their C names.</summary>
public static class RtnetlinkConstants
{
    public const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_ROUTE = 0;

    public const ushort NLM_F_REQUEST = 1, NLMSG_ERROR = 2, RTM_NEWLINK = 16, RTM_GETLINK = 18;

    public const ushort IFLA_IFNAME = 3, IFLA_LINKINFO = 18, IFLA_CARRIER = 33;

    public const ushort IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2;

    public const ushort IFLA_TUN_OWNER = 1, IFLA_TUN_GROUP = 2, IFLA_TUN_TYPE = 3, IFLA_TUN_MULTI_QUEUE = 7, IFLA_TUN_NUM_QUEUES = 8,
        IFLA_TUN_NUM_DISABLED_QUEUES = 9;
}
