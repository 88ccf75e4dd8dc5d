using KvmSharp.Backends.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>How a <see cref="VirtioNetDevice"/> shows itself to the guest.</summary>
public sealed record VirtioNetOptions
{
    public const ushort MinQueueSize = 16, MaxQueueSize = 1024;

    /// <summary>Names the device in logs and counters.</summary>
    public string Name { get; init; } = "virtio-net";

    /// <summary>Unicast.</summary>
    public required MacAddress Mac { get; init; }

    /// <summary>Largest size of receive and transmit queues, a power of two from <see cref="MinQueueSize"/> to <see cref="MaxQueueSize"/>.</summary>
    public ushort QueueSize { get; init; } = 256;

    /// <summary>Features not to offer; what depends on them is not offered either.</summary>
    public ulong WithheldFeatures { get; init; }

    /// <summary>How often the host is asked whether the link is up, in nanoseconds; 0: never.</summary>
    public long LinkCheckNs { get; init; } = 1_000_000_000;

    /// <summary>A queue pair takes part in the host's steering while its queues run: nobody but them tells which ones the driver uses. False: the driver says it, through the control queue.</summary>
    public bool PairsFollowQueues { get; init; }

    /// <summary>Told once when the host end is gone.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
