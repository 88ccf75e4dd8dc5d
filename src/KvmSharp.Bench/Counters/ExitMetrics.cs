using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Counters;

/// <summary>How often an operation leaves the guest, as figures of a series.</summary>
internal static class ExitMetrics
{
    /// <summary>What is known of every round, a sample for each; nothing without operations.</summary>
    public static IEnumerable<Metric> Of(IReadOnlyList<RoundCost> rounds)
    {
        if (rounds.Count == 0 || rounds.Any(r => r.Operations <= 0))
            yield break;
        if (rounds.All(r => r.Exits.Monitor is not null))
            yield return Metric("exits", e => e.Monitor!.Value);
        if (rounds.Any(r => r.Exits.Kvm is null))
            yield break;
        yield return Metric("kvm exits", e => e.Kvm!.Value.Exits);
        yield return Metric("kvm pio", e => e.Kvm!.Value.PortIo);
        yield return Metric("kvm mmio", e => e.Kvm!.Value.Mmio);
        yield return Metric("kvm halts", e => e.Kvm!.Value.Halts);

        Metric Metric(string name, Func<ExitCounts, long> count) => new(name, "per op", false, [.. rounds.Select(r => (double)count(r.Exits) / r.Operations)]);
    }
}
