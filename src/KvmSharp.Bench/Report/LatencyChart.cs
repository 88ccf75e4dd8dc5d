namespace KvmSharp.Bench.Report;

/// <summary>How many operations took at most how long: a curve per series over a logarithmic axis.</summary>
internal static class LatencyChart
{
    private const double Width = 760, Height = 250, Left = 46, Right = 30, Top = 10, Bottom = 26;

    public static string Draw(string title, IReadOnlyList<(Series Series, string Style)> series)
    {
        List<(Series Series, string Style)> curves = [.. series.Where(s => s.Series.Latency.Count > 0)];
        if (curves.Count == 0)
            return "";
        double least = curves.Min(c => Math.Max(1, c.Series.Latency[0].Nanoseconds)), most = curves.Max(c => Math.Max(1, c.Series.Latency[^1].Nanoseconds));
        double first = Math.Floor(Math.Log10(least)), last = Math.Max(first + 1, Math.Ceiling(Math.Log10(most)));
        double X(double nanoseconds) => Left + ((Math.Log10(Math.Max(1, nanoseconds)) - first) / (last - first) * (Width - Left - Right));
        double Y(double part) => Top + ((1 - part) * (Height - Top - Bottom));
        var svg = new Svg(Width, Height, $"{title}: distribution of latencies");
        for (double decade = first; decade <= last; decade++)
        {
            double x = X(Math.Pow(10, decade));
            svg.Line(x, Top, x, Height - Bottom, "grid");
            svg.Text(x, Height - 8, Duration(decade), "tick");
        }

        foreach (double part in (ReadOnlySpan<double>)[0, 0.5, 0.9, 0.99])
        {
            svg.Line(Left, Y(part), Width - Right, Y(part), "grid");
            if (part < 0.99)
                svg.Text(Left - 8, Y(part) + 4, Number.Percent(part), "label");
        }

        foreach ((Series s, string style) in curves)
            svg.Curve(Points(s.Latency).Select(p => (X(p.Nanoseconds), Y(p.Part))), $"{style} curve{(s.Completion == "interrupt" ? " dashed" : "")}");
        return svg.Finish();
    }

    // Steps: the part that was done when the bucket begins, and when it is over.
    private static IEnumerable<(double Nanoseconds, double Part)> Points(IReadOnlyList<LatencyBucket> latency)
    {
        double all = latency.Sum(b => b.Count), done = 0;
        foreach (LatencyBucket bucket in latency)
        {
            yield return (bucket.Nanoseconds, done / all);
            done += bucket.Count;
            yield return (bucket.Nanoseconds, done / all);
        }
    }

    private static string Duration(double decade) => decade switch
    {
        < 3 => $"{Math.Pow(10, decade):F0} ns",
        < 6 => $"{Math.Pow(10, decade - 3):F0} µs",
        < 9 => $"{Math.Pow(10, decade - 6):F0} ms",
        _ => $"{Math.Pow(10, decade - 9):F0} s",
    };
}
