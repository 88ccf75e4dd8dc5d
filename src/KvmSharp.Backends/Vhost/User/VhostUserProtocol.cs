namespace KvmSharp.Backends.Vhost.User;

/// <summary>Requests of a front end (vhost-user protocol, "Front-end message types").</summary>
public enum VhostUserRequest : uint
{
    GetFeatures = 1,
    SetFeatures = 2,
    SetOwner = 3,
    ResetOwner = 4,
    SetMemTable = 5,
    SetLogBase = 6,
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
    SendRarp = 19,
    NetSetMtu = 20,
    SetBackendReqFd = 21,
    GetConfig = 24,
    SetConfig = 25,
    GetInflightFd = 31,
    SetInflightFd = 32,
    ResetDevice = 34,
    GetMaxMemSlots = 36,
    AddMemReg = 37,
    RemMemReg = 38,
    SetStatus = 39,
    GetStatus = 40,
}

/// <summary>Requests of a back end on the channel that it was given ("Back-end message types").</summary>
public enum VhostUserBackendRequest : uint
{
    ConfigChange = 2,
}

/// <summary>Protocol features ("Protocol features"), as bits.</summary>
[Flags]
public enum VhostUserFeatures : ulong
{
    None = 0,
    MultiQueue = 1UL << 0,
    LogShmFd = 1UL << 1,
    Rarp = 1UL << 2,
    ReplyAck = 1UL << 3,
    NetMtu = 1UL << 4,
    BackendReq = 1UL << 5,
    Config = 1UL << 9,
    InflightShmFd = 1UL << 12,
    ResetDevice = 1UL << 13,
    ConfigureMemSlots = 1UL << 15,
    Status = 1UL << 16,
}

/// <summary>Sizes and flags of messages ("Message specification").</summary>
public static class VhostUserMessage
{
    /// <summary>Bytes of request, flags and size.</summary>
    public const int HeaderBytes = 12;

    /// <summary>Largest payload that either side takes; the largest is device configuration.</summary>
    public const int MaxPayloadBytes = 512;

    /// <summary>Most descriptors that come with a message: a memory region each.</summary>
    public const int MaxDescriptors = 8;

    /// <summary>Bytes of a memory region's description.</summary>
    public const int RegionBytes = 32;

    /// <summary>Bytes before the data of a configuration message: offset, size, flags.</summary>
    public const int ConfigHeadBytes = 12;

    public const uint ProtocolVersion = 1, VersionMask = 3, Reply = 1 << 2, NeedReply = 1 << 3;

    /// <summary>In the descriptor messages, beside the vring's number: no descriptor comes with it.</summary>
    public const ulong NoDescriptor = 1 << 8;

    /// <summary>VHOST_F_LOG_ALL, among the virtio feature bits: whatever is written to guest memory is logged.</summary>
    public const ulong LogAll = 1UL << 26;

    /// <summary>VHOST_USER_F_PROTOCOL_FEATURES, among the virtio feature bits.</summary>
    public const ulong HasProtocolFeatures = 1UL << 30;
}
