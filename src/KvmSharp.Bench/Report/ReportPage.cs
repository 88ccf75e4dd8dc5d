using System.Text;

namespace KvmSharp.Bench.Report;

/// <summary>A report as one HTML page that needs nothing else: charts per kind of work, then every figure in a table.</summary>
public static class ReportPage
{
    private const int Colours = 6;

    private const string Head = """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>kvmsharp bench</title>
        <style>
        body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}
        h1{font-size:1.5em}h2{font-size:1.15em;margin:2em 0 .3em;border-bottom:1px solid #d8dee4}h3{font-size:.95em;margin:1em 0 .2em;color:#57606a}
        svg{max-width:100%;height:auto;display:block}svg text{font-size:12px;fill:#1b1f24}
        .label{text-anchor:end}.tick{text-anchor:middle}.value{font-variant-numeric:tabular-nums}
        .grid{stroke:#d8dee4;stroke-width:1}.whisker{stroke:#1b1f24;stroke-width:1.5}
        .curve{fill:none;stroke-width:2}.dashed{stroke-dasharray:5 3}
        rect.c0{fill:#1f77b4}rect.c1{fill:#e8743b}rect.c2{fill:#2a9d62}rect.c3{fill:#9467bd}rect.c4{fill:#b8860b}rect.c5{fill:#7f7f7f}
        rect.p0{fill:#8fb8de}rect.p1{fill:#e0b05c}rect.p2{fill:#c0504d}rect.p3{fill:#7f7f7f}
        .curve.c0{stroke:#1f77b4}.curve.c1{stroke:#e8743b}.curve.c2{stroke:#2a9d62}.curve.c3{stroke:#9467bd}.curve.c4{stroke:#b8860b}.curve.c5{stroke:#7f7f7f}
        table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}td,th{padding:.15em .7em;text-align:right;border-bottom:1px solid #eaeef2;white-space:nowrap}
        td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}.wide{overflow-x:auto}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em;font-size:13px}dt{color:#57606a}dd{margin:0}
        </style></head><body>

        """;

    public static string Write(BenchReport report)
    {
        var page = new StringBuilder(Head).Append($"<h1>kvmsharp bench {Svg.Escape(report.Bench)}</h1>\n<dl>\n");
        foreach (Fact fact in report.Host.Concat(report.Settings))
            page.Append($"<dt>{Svg.Escape(fact.Name)}</dt><dd>{Svg.Escape(fact.Value)}</dd>\n");
        page.Append("</dl>\n<p>Bars are medians of the rounds, whiskers reach from the smallest to the largest. In the distributions lines are polled and dashed lines are interrupt completion.</p>\n");
        List<string> colours = [.. report.Series.Select(Colour).Distinct()];
        foreach (IGrouping<string, Series> work in report.Series.GroupBy(s => s.Work))
            AppendWork(page, work.Key, [.. work.Select(s => (s, $"c{colours.IndexOf(Colour(s)) % Colours}"))]);
        page.Append("<h2>All figures</h2>\n");
        foreach (List<string[]> rows in FigureRows.Tables(report))
            AppendTable(page, rows);
        return page.Append("</body></html>\n").ToString();
    }

    private static string Colour(Series series) => $"{series.Path}|{series.Side}";

    private static void AppendWork(StringBuilder page, string work, IReadOnlyList<(Series Series, string Style)> series)
    {
        page.Append($"<h2>{Svg.Escape(work)}</h2>\n");
        foreach (string metric in (string[])["rate", "speed", "cost", "over floor", "exits", "kvm exits"])
            AppendChart(page, Caption(metric), BarChart.Draw(work, metric, series));
        AppendChart(page, "CPU time of one: microseconds in the guest, in the host's kernel with KVM, in the VMM", StackChart.Draw(work, CpuSplit.Names, [.. series.Select(s => s.Series)]));
        AppendChart(page, "Latency: part of the operations that took at most so long", LatencyChart.Draw(work, series));
    }

    private static void AppendChart(StringBuilder page, string caption, string chart)
    {
        if (chart.Length > 0)
            page.Append($"<h3>{caption}</h3>\n").Append(chart);
    }

    private static string Caption(string metric) => metric switch
    {
        "rate" => "Operations per second",
        "speed" => "Megabits per second",
        "exits" => "Exits to the monitor per operation",
        "kvm exits" => "Exits per operation as KVM counts them, those that it answers itself included",
        "cost" => "Nanoseconds for one",
        _ => "Nanoseconds above the floor",
    };

    private static void AppendTable(StringBuilder page, List<string[]> rows)
    {
        page.Append("<div class=\"wide\"><table>");
        for (int i = 0; i < rows.Count; i++)
        {
            string cell = i == 0 ? "th" : "td";
            page.Append("<tr>").AppendJoin("", rows[i].Select(text => $"<{cell}>{Svg.Escape(text)}</{cell}>")).Append("</tr>\n");
        }

        page.Append("</table></div>\n");
    }
}
