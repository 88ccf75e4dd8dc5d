using System.Globalization;

namespace KvmSharp.Benchmarks;

/// <summary>How a result is condensed and printed.</summary>
public static class Figures
{
    /// <summary>The middle value; of an even number the mean of the two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>Prints the line that programs read: <c>figure NAME VALUE UNIT</c>.</summary>
    public static void Print(string name, double value, string unit) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"figure {name} {value:F0} {unit}"));
}
