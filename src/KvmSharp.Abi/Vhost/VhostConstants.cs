namespace KvmSharp.Abi.Vhost;

/// <summary>Constants of linux/vhost.h, under their C names.</summary>
public static class VhostConstants
{
    public const uint VHOST_GET_FEATURES = 0x8008AF00, VHOST_SET_FEATURES = 0x4008AF00, VHOST_SET_OWNER = 0x0000AF01, VHOST_SET_MEM_TABLE = 0x4008AF03;

    public const uint VHOST_SET_VRING_NUM = 0x4008AF10, VHOST_SET_VRING_ADDR = 0x4028AF11, VHOST_SET_VRING_BASE = 0x4008AF12, VHOST_GET_VRING_BASE = 0xC008AF12,
        VHOST_SET_VRING_KICK = 0x4008AF20, VHOST_SET_VRING_CALL = 0x4008AF21, VHOST_SET_VRING_ERR = 0x4008AF22;

    public const uint VHOST_NET_SET_BACKEND = 0x4008AF30;

    /// <summary>Bit of vhost_vring_addr.flags: what is written to the used ring is logged.</summary>
    public const int VHOST_VRING_F_LOG = 0;

    /// <summary>Takes a descriptor away.</summary>
    public const int VHOST_FILE_UNBIND = -1;
}
