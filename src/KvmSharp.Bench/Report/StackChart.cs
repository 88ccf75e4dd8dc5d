namespace KvmSharp.Bench.Report;

/// <summary>Figures of each series that make a whole, as one horizontal bar of parts, and a legend of the parts.</summary>
internal static class StackChart
{
    private const double Width = 760, LabelWidth = 250, ValueWidth = 130, RowHeight = 24, BarHeight = 14, Top = 6, LegendWidth = 150;

    /// <param name="metrics">Names of the parts, from the left; a series may lack some.</param>
    public static string Draw(string title, IReadOnlyList<string> metrics, IReadOnlyList<Series> series)
    {
        Series[] bars = [.. series.Where(s => metrics.Any(m => s.Find(m) is not null))];
        if (bars.Length == 0)
            return "";
        double largest = bars.Max(s => metrics.Sum(m => s.Find(m)?.Median ?? 0)), scale = largest > 0 ? (Width - LabelWidth - ValueWidth) / largest : 0;
        string[] parts = [.. metrics.Where(m => bars.Any(s => s.Find(m) is not null))];
        var svg = new Svg(Width, Top + (RowHeight * (bars.Length + 1)), $"{title}: {string.Join(", ", parts)}");
        for (int i = 0; i < bars.Length; i++)
        {
            double x = LabelWidth, y = Top + (RowHeight * i), sum = 0;
            svg.Text(LabelWidth - 8, y + (BarHeight / 2) + 4, $"{bars[i].Path} {bars[i].Completion} · {bars[i].Side}", "label");
            for (int part = 0; part < parts.Length; part++)
            {
                if (bars[i].Find(parts[part]) is not { } metric)
                    continue;
                svg.Rect(x, y, metric.Median * scale, BarHeight, $"p{part}");
                x += metric.Median * scale;
                sum += metric.Median;
            }

            svg.Text(x + 8, y + (BarHeight / 2) + 4, $"{Number.Format(sum)} {bars[i].Find(parts[^1])?.Unit}", "value");
        }

        double legend = Top + (RowHeight * bars.Length);
        for (int part = 0; part < parts.Length; part++)
        {
            svg.Rect(LabelWidth + (LegendWidth * part), legend, BarHeight, BarHeight, $"p{part}");
            svg.Text(LabelWidth + (LegendWidth * part) + BarHeight + 6, legend + (BarHeight / 2) + 4, parts[part], "value");
        }

        return svg.Finish();
    }
}
