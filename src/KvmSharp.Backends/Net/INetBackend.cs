namespace KvmSharp.Backends.Net;

/// <summary>The control side of a network device's host end. Thread-safe.</summary>
public interface INetBackend : IDisposable
{
    /// <summary>Queue pairs that <see cref="OpenQueue"/> gives out.</summary>
    int QueuePairs { get; }

    /// <summary>Largest packet without header that the host passes unsegmented, in bytes.</summary>
    int Mtu { get; }

    /// <summary>Offloads that the host can be told to use.</summary>
    NetOffloads SupportedOffloads { get; }

    /// <summary>False when the host end has no carrier or is gone.</summary>
    bool LinkUp { get; }

    /// <summary>What took the host end away for good, such as "tap t0 is gone"; null while it is there.</summary>
    string? Loss { get; }

    /// <summary>Queue pair <paramref name="index"/>; each may be opened once at a time. Disposing it does not take the host end away.</summary>
    INetQueue OpenQueue(int index);

    /// <summary>What the guest copes with from now on; 0 after a reset. Unsupported bits are ignored. False if the host refused.</summary>
    bool SetOffloads(NetOffloads offloads);

    /// <summary>The first <paramref name="count"/> queue pairs take part in the host's steering. False if the host refused.</summary>
    bool SetActiveQueuePairs(int count);
}
