using KvmSharp.Backends.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>How an <see cref="E1000Device"/> shows itself to the guest.</summary>
public sealed record E1000Options
{
    /// <summary>Names the device in logs and counters.</summary>
    public string Name { get; init; } = "e1000";

    /// <summary>What the EEPROM says. Unicast.</summary>
    public required MacAddress Mac { get; init; }

    /// <summary>How often the host is asked whether the link is up, in nanoseconds; 0: only once.</summary>
    public long LinkCheckNs { get; init; } = 1_000_000_000;

    /// <summary>Told once when the host end is gone.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
