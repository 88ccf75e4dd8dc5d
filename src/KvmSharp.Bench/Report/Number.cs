using System.Globalization;

namespace KvmSharp.Bench.Report;

/// <summary>Numbers for people: three significant digits, thousands apart.</summary>
internal static class Number
{
    public static string Format(double value) => Math.Abs(value) switch
    {
        >= 100 => value.ToString("N0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("F1", CultureInfo.InvariantCulture),
        0 => "0",
        _ => value.ToString("F2", CultureInfo.InvariantCulture),
    };

    /// <summary>Half the distance from the smallest to the largest round: as a part of the median, or as it is where that says nothing.</summary>
    public static string Spread(Metric metric) => metric.Spread < 2 ? Percent(metric.Spread / 2) : Format((metric.Max - metric.Min) / 2);

    public static string Percent(double part) => (part * 100).ToString(Math.Abs(part) < 0.0995 ? "F1" : "F0", CultureInfo.InvariantCulture) + " %";
}
