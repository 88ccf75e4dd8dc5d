namespace KvmSharp.Backends.Vhost.User;

/// <summary>What kind of device a back end is to serve, as far as its connection has to know.</summary>
public sealed record VhostUserOptions
{
    private const VhostUserFeatures Common = VhostUserFeatures.MultiQueue | VhostUserFeatures.LogShmFd | VhostUserFeatures.ReplyAck | VhostUserFeatures.BackendReq |
        VhostUserFeatures.ResetDevice | VhostUserFeatures.ConfigureMemSlots | VhostUserFeatures.Status;

    private VhostUserOptions(VhostUserFeatures wanted) => Wanted = Common | wanted;

    /// <summary>Vrings that belong together and are counted as one queue: 2 for a network interface.</summary>
    public int VringsPerQueue { get; private init; } = 1;

    /// <summary>Most entries of the device's vrings, for the region of requests in flight.</summary>
    public ushort QueueSize { get; private init; }

    /// <summary>For a network interface, the largest packet that it is told of; null: nothing.</summary>
    public int? Mtu { get; private init; }

    /// <summary>Protocol features that are agreed on if the back end has them.</summary>
    internal VhostUserFeatures Wanted { get; init; }

    /// <summary>A disk: what it has in flight is done again, and it says itself what it is.</summary>
    public static VhostUserOptions Disk(ushort queueSize) => new(VhostUserFeatures.Config | VhostUserFeatures.InflightShmFd) { QueueSize = queueSize };

    /// <summary>A network interface: packets may be lost, or sent twice, but not where packed vrings stand.</summary>
    public static VhostUserOptions Net(ushort queueSize, int? mtu) =>
        new(VhostUserFeatures.InflightShmFd | VhostUserFeatures.Rarp | (mtu is null ? 0 : VhostUserFeatures.NetMtu)) { QueueSize = queueSize, VringsPerQueue = 2, Mtu = mtu };

    /// <summary>A file system, whose back end answers out of order.</summary>
    public static VhostUserOptions FileSystem(ushort queueSize) => new(VhostUserFeatures.InflightShmFd) { QueueSize = queueSize };
}
