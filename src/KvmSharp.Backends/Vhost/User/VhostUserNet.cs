using KvmSharp.Backends.Net;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>A network's host end in another process: packets never pass through here. Owns the connection.</summary>
public sealed class VhostUserNet : INetBackend
{
    private const int DefaultMtu = 1500;

    private readonly int? _mtu;

    /// <summary>Takes <paramref name="backend"/> over, also if it throws: <see cref="BackendException"/> if it serves fewer queue pairs.</summary>
    public VhostUserNet(VhostUserBackend backend, int queuePairs, int? mtu)
    {
        Backend = backend;
        QueuePairs = queuePairs;
        _mtu = mtu;
        if (queuePairs <= backend.QueueLimit)
            return;
        backend.Dispose();
        throw new BackendException($"its vhost-user back end serves {backend.QueueLimit} queues, not {queuePairs}: start it with more, or say queues={backend.QueueLimit}");
    }

    public VhostUserBackend Backend { get; }

    public int QueuePairs { get; }

    public int Mtu => _mtu ?? DefaultMtu;

    /// <summary>All: which of them there are is among the virtio features of the other process.</summary>
    public NetOffloads SupportedOffloads => (NetOffloads)~0;

    /// <summary>The other process is there.</summary>
    public bool LinkUp => Backend.Connection is not null;

    /// <summary>None: another process may come.</summary>
    public string? Loss => null;

    public INetQueue OpenQueue(int index) => throw new NotSupportedException("packets do not pass through this program");

    /// <summary>Nothing: the other process knows what was negotiated.</summary>
    public bool SetOffloads(NetOffloads offloads) => true;

    /// <summary>Nothing: its vrings are enabled one by one.</summary>
    public bool SetActiveQueuePairs(int count) => true;

    public void Dispose() => Backend.Dispose();
}
