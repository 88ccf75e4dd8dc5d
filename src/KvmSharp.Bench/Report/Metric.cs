namespace KvmSharp.Bench.Report;

/// <summary>One figure of a series: a sample per round.</summary>
/// <param name="Unit">What is printed behind it: <c>ops/s</c>, <c>ns</c>; may be empty.</param>
/// <param name="Samples">At least one.</param>
public sealed record Metric(string Name, string Unit, bool HigherIsBetter, IReadOnlyList<double> Samples)
{
    /// <summary>The middle sample; of an even number the mean of the two.</summary>
    public double Median { get; } = MedianOf(Samples);

    public double Min { get; } = Samples.Min();

    public double Max { get; } = Samples.Max();

    /// <summary>From the smallest to the largest sample, as a part of the median; 0 when that is 0.</summary>
    public double Spread => Median == 0 ? 0 : (Max - Min) / Math.Abs(Median);

    private static double MedianOf(IReadOnlyList<double> samples)
    {
        double[] sorted = [.. samples.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
