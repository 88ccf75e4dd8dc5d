namespace KvmSharp.Backends.Vhost.User;

/// <summary>Requests of a front end (vhost-user protocol, "Front-end message types").</summary>
internal enum VhostUserRequest : uint
{
    GetFeatures = 1,
    SetFeatures = 2,
    SetOwner = 3,
    SetMemTable = 5,
    SetVringNum = 8,
    SetVringAddr = 9,
    SetVringBase = 10,
    GetVringBase = 11,
    SetVringKick = 12,
    SetVringCall = 13,
    SetVringErr = 14,
    GetProtocolFeatures = 15,
    SetProtocolFeatures = 16,
    GetQueueNum = 17,
    SetVringEnable = 18,
    GetConfig = 24,
    SetConfig = 25,
    GetInflightFd = 31,
    SetInflightFd = 32,
}

/// <summary>Protocol features ("Protocol features"), as bits.</summary>
[Flags]
internal enum VhostUserFeatures : ulong
{
    None = 0,
    MultiQueue = 1UL << 0,
    ReplyAck = 1UL << 3,
    Config = 1UL << 9,
    InflightShmFd = 1UL << 12,
}

/// <summary>Sizes and flags of messages ("Message specification").</summary>
internal static class VhostUserMessage
{
    /// <summary>Bytes of request, flags and size.</summary>
    public const int HeaderBytes = 12;

    /// <summary>Largest payload of ours or of an answer to us; the largest is device configuration.</summary>
    public const int MaxPayloadBytes = 512;

    /// <summary>Bytes of a memory region's description.</summary>
    public const int RegionBytes = 32;

    public const uint ProtocolVersion = 1, VersionMask = 3, Reply = 1 << 2, NeedReply = 1 << 3;

    /// <summary>In the descriptor messages, beside the vring's number: no descriptor comes with it.</summary>
    public const ulong NoDescriptor = 1 << 8;

    /// <summary>VHOST_USER_F_PROTOCOL_FEATURES, among the virtio feature bits.</summary>
    public const ulong HasProtocolFeatures = 1UL << 30;
}
