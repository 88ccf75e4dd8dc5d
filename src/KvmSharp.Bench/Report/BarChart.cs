namespace KvmSharp.Bench.Report;

/// <summary>One metric of several series as horizontal bars with whiskers from the smallest to the largest round.</summary>
internal static class BarChart
{
    private const double Width = 760, LabelWidth = 250, ValueWidth = 130, RowHeight = 24, BarHeight = 14, Top = 6;

    /// <param name="series">Those with the metric, each with the class of its colour.</param>
    public static string Draw(string title, string metric, IReadOnlyList<(Series Series, string Style)> series)
    {
        List<(Series Series, Metric Metric, string Style)> bars =
            [.. series.Where(s => s.Series.Find(metric) is not null).Select(s => (s.Series, s.Series.Find(metric)!, s.Style))];
        if (bars.Count == 0)
            return "";
        double largest = bars.Max(b => b.Metric.Max), scale = largest > 0 ? (Width - LabelWidth - ValueWidth) / largest : 0;
        var svg = new Svg(Width, Top + (RowHeight * bars.Count), $"{title}: {metric}");
        for (int i = 0; i < bars.Count; i++)
        {
            (Series s, Metric m, string style) = bars[i];
            double y = Top + (RowHeight * i), middle = y + (BarHeight / 2);
            svg.Text(LabelWidth - 8, middle + 4, $"{s.Path} {s.Completion} · {s.Side}", "label");
            svg.Rect(LabelWidth, y, m.Median * scale, BarHeight, style);
            svg.Line(LabelWidth + (m.Min * scale), middle, LabelWidth + (m.Max * scale), middle, "whisker");
            svg.Text(LabelWidth + (m.Max * scale) + 8, middle + 4, $"{Number.Format(m.Median)} {m.Unit}", "value");
        }

        return svg.Finish();
    }
}
