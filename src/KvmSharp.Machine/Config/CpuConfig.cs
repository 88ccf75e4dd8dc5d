namespace KvmSharp.Machine.Config;

/// <summary>Virtual CPUs: how many, how they are arranged, what they can do.</summary>
public sealed record CpuConfig
{
    /// <summary>vCPUs at start; <see cref="Sockets"/> × <see cref="Cores"/> × <see cref="Threads"/>.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Threads in a core.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Cores in a socket.</summary>
    public int Cores { get; init; } = 1;

    public int Sockets { get; init; } = 1;

    public CpuModel Model { get; init; } = CpuModel.Host;

    public IReadOnlyList<CpuFeature> Features { get; init; } = [];

    /// <summary>CPUID vendor of exactly 12 characters (<c>GenuineIntel</c>); null: the host's.</summary>
    public string? Vendor { get; init; }

    /// <summary>Guest physical address width in bits, 32 to 52; null: the host's.</summary>
    public int? PhysBits { get; init; }
}
