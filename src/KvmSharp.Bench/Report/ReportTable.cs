using System.Text;

namespace KvmSharp.Bench.Report;

/// <summary>A report as a table for the terminal: a row per series, a column per metric, each with its median and spread.</summary>
public static class ReportTable
{
    public static string Write(BenchReport report)
    {
        var text = new StringBuilder();
        foreach (Fact fact in report.Host.Concat(report.Settings))
            text.Append($"{fact.Name}: {fact.Value}\n");
        text.Append('\n');
        foreach (List<string[]> rows in FigureRows.Tables(report))
        {
            AppendAligned(text, rows);
            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Two columns of words to the left, the rest to the right.</summary>
    internal static void AppendAligned(StringBuilder text, List<string[]> rows)
    {
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(i => rows.Max(r => r[i].Length))];
        foreach (string[] row in rows)
        {
            for (int i = 0; i < row.Length; i++)
                text.Append(i < 2 ? row[i].PadRight(widths[i]) : row[i].PadLeft(widths[i])).Append(i == row.Length - 1 ? "\n" : "  ");
        }
    }
}
