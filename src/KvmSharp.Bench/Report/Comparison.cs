using System.Text;

namespace KvmSharp.Bench.Report;

/// <summary>What changed from an older report to a newer one, metric by metric.</summary>
public static class Comparison
{
    /// <summary>A change that moves the median by less is not worth a word, however quiet the host.</summary>
    public const double Least = 0.02;

    /// <summary>Fewer rounds than this on either side do not show how far they differ by themselves.</summary>
    public const int LeastRounds = 3;

    /// <summary>
    /// Better or worse only when the rounds of the two do not overlap and the medians differ by <see cref="Least"/>; everything else is noise.
    /// </summary>
    public static Change Judge(Metric before, Metric after)
    {
        if (before.Samples.Count < LeastRounds || after.Samples.Count < LeastRounds)
            return Change.Unknown;
        bool apart = after.Min > before.Max || after.Max < before.Min;
        if (!apart || Math.Abs(after.Median - before.Median) < Least * Math.Abs(before.Median))
            return Change.Noise;
        return after.Median > before.Median == after.HigherIsBetter ? Change.Better : Change.Worse;
    }

    public static string Write(BenchReport before, BenchReport after)
    {
        List<string[]> rows = [["what", "side", "metric", "before", "after", "change", "verdict"]];
        int better = 0, worse = 0, unknown = 0;
        foreach (Series series in after.Series)
        {
            Series? old = before.Series.FirstOrDefault(s => s.Topic == series.Topic && s.Side == series.Side);
            foreach (Metric metric in series.Metrics)
            {
                if (old?.Find(metric.Name) is not { } previous)
                    continue;
                Change change = Judge(previous, metric);
                better += change == Change.Better ? 1 : 0;
                worse += change == Change.Worse ? 1 : 0;
                unknown += change == Change.Unknown ? 1 : 0;
                string part = previous.Median == 0 ? "-" : $"{(metric.Median >= previous.Median ? "+" : "")}{Number.Percent((metric.Median - previous.Median) / previous.Median)}";
                rows.Add([series.Topic, series.Side, metric.Name, Number.Format(previous.Median), Number.Format(metric.Median), part, Word(change)]);
            }
        }

        var text = new StringBuilder("against the older report:\n");
        foreach (Fact fact in after.Host.Concat(after.Settings))
        {
            string? was = before.Host.Concat(before.Settings).Where(f => f.Name == fact.Name).Select(f => f.Value).FirstOrDefault();
            if (was is not null && was != fact.Value)
                text.Append($"{fact.Name} was {was}, is {fact.Value}\n");
        }

        ReportTable.AppendAligned(text, rows);
        return text.Append($"{better} better, {worse} worse, {unknown} of too few rounds, {rows.Count - 1 - better - worse - unknown} within the noise\n").ToString();
    }

    private static string Word(Change change) => change switch
    {
        Change.Better => "better",
        Change.Worse => "WORSE",
        Change.Unknown => "too few rounds",
        _ => "within the noise",
    };
}

/// <summary>What a comparison says of a metric.</summary>
public enum Change
{
    Noise,
    Better,
    Worse,

    /// <summary>Too few rounds to say.</summary>
    Unknown,
}
