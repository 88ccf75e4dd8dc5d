namespace KvmSharp.Bench.Report;

/// <summary>The figures of a report as rows of cells, for the terminal and for the page.</summary>
internal static class FigureRows
{
    private const string Absent = "-";

    /// <summary>One table for each kind of main figure, the first row with the names of its columns, the sides of a thing below each other.</summary>
    public static IEnumerable<List<string[]>> Tables(BenchReport report) => report.Series.GroupBy(s => s.Metrics is [var main, ..] ? main.Name : "").Select(g => Table([.. g]));

    private static List<string[]> Table(List<Series> series)
    {
        // A side that lacks a figure has it absent; it has no table of its own.
        Metric[] columns = [.. series.SelectMany(s => s.Metrics).DistinctBy(m => m.Name)];
        List<string[]> rows = [["what", "side", .. columns.Select(m => m.Unit.Length == 0 ? m.Name : $"{m.Name} ({m.Unit})")]];
        foreach (Series s in series)
            rows.Add([s.Topic, s.Side, .. columns.Select(c => s.Find(c.Name) is { } m ? $"{Number.Format(m.Median)} ± {Number.Spread(m)}" : Absent)]);
        return rows;
    }
}
