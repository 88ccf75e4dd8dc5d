namespace KvmSharp.Machine;

/// <summary>Exit counters summed over vCPUs: how often each exit reason and each device took a vCPU out of the guest.</summary>
public sealed record MachineStatistics(IReadOnlyList<NamedCount> ExitsByReason, IReadOnlyList<NamedCount> ExitsByDevice)
{
    public static MachineStatistics Empty { get; } = new([], []);

    /// <summary>One line for reports.</summary>
    public override string ToString() => $"by reason {string.Join(", ", ExitsByReason)}; by device {string.Join(", ", ExitsByDevice)}";
}

/// <summary>A counter and what it counts.</summary>
public readonly record struct NamedCount(string Name, long Count)
{
    public override string ToString() => $"{Name} {Count}";
}
