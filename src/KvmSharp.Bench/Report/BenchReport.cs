namespace KvmSharp.Bench.Report;

/// <summary>The result of one benchmark: what was run where, and what came out.</summary>
/// <param name="Bench"><c>paths</c> or <c>exits</c>.</param>
/// <param name="Host">Facts of the host that the figures depend on, by name.</param>
/// <param name="Settings">What was asked for, by name.</param>
/// <param name="Series">In the order in which they are shown.</param>
public sealed record BenchReport(string Bench, IReadOnlyList<Fact> Host, IReadOnlyList<Fact> Settings, IReadOnlyList<Series> Series);

/// <summary>A name and a value for people.</summary>
public sealed record Fact(string Name, string Value);
