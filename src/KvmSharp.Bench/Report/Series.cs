namespace KvmSharp.Bench.Report;

/// <summary>What was measured of one thing on one side.</summary>
/// <param name="Side">Which program: <c>kvmsharp</c>, <c>qemu</c>.</param>
/// <param name="Path">Which device or which kind of exit.</param>
/// <param name="Work">What was done with it.</param>
/// <param name="Completion">How its end was found: <c>polled</c>, <c>interrupt</c>; may be empty.</param>
/// <param name="Latency">The distribution over all rounds, ascending; empty when there is none.</param>
public sealed record Series(string Side, string Path, string Work, string Completion, IReadOnlyList<Metric> Metrics, IReadOnlyList<LatencyBucket> Latency)
{
    /// <summary>What the series is about, whoever ran it.</summary>
    public string Topic => Completion.Length == 0 ? $"{Path} {Work}" : $"{Path} {Work} {Completion}";

    public Metric? Find(string metric) => Metrics.FirstOrDefault(m => m.Name == metric);
}

/// <summary>Operations that took at least so many nanoseconds, and less than the next bucket says.</summary>
public sealed record LatencyBucket(double Nanoseconds, long Count);
