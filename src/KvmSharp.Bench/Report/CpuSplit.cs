namespace KvmSharp.Bench.Report;

/// <summary>Where the CPU time of an operation goes, as figures of a series: in the guest, in the host's kernel with KVM, in the VMM.</summary>
internal static class CpuSplit
{
    private const string Unit = "us/op";

    /// <summary>The figures in the order in which charts stack them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["cpu guest", "cpu kvm", "cpu guest+kvm", "cpu vmm"];

    /// <summary>A sample for each round; nothing without operations.</summary>
    /// <param name="guestIsTold">The host accounts for guests; a KVM that does not enter them by the processor's virtualization may have their time counted as the kernel's.</param>
    public static IEnumerable<Metric> Metrics(bool guestIsTold, IReadOnlyList<RoundCost> rounds)
    {
        if (rounds.Count == 0 || rounds.Any(r => r.Operations <= 0))
            yield break;
        if (guestIsTold)
        {
            yield return Metric("cpu guest", t => t.Guest);
            yield return Metric("cpu kvm", t => t.Kernel);
        }
        else
            yield return Metric("cpu guest+kvm", t => t.Kernel);
        yield return Metric("cpu vmm", t => t.Vmm);

        // The host rounds the parts apart from each other, so one may go back a little.
        Metric Metric(string name, Func<CpuTimes, double> part) => new(name, Unit, false, [.. rounds.Select(r => Math.Max(0, part(r.Cpu)) / r.Operations)]);
    }
}
