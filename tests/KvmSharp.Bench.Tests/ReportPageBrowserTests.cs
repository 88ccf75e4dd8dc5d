using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Tests;

/// <summary>The page as a browser shows it: a script of this test, put behind the page, measures what is drawn.</summary>
public sealed partial class ReportPageBrowserTests : IDisposable
{
    private const string Probe = """
        <script>
        const plots = [...document.querySelectorAll('svg')].map(svg => {
          const frame = svg.getBoundingClientRect();
          const outside = [...svg.querySelectorAll('rect,text,polyline,line')].map(e => e.getBoundingClientRect())
            .filter(r => r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1).length;
          const bars = [...svg.querySelectorAll('rect')].filter(r => r.getBoundingClientRect().width > 0 && getComputedStyle(r).fill !== 'rgb(0, 0, 0)').length;
          return { label: svg.getAttribute('aria-label'), width: frame.width, height: frame.height, outside, bars, curves: svg.querySelectorAll('polyline').length };
        });
        const pre = document.createElement('pre');
        pre.id = 'probe';
        pre.textContent = JSON.stringify({ plots, fetched: performance.getEntriesByType('resource').length, rows: document.querySelectorAll('tr').length, wide: document.documentElement.scrollWidth > innerWidth });
        document.body.append(pre);
        </script>
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-page-");

    public void Dispose() => _folder.Delete(recursive: true);

    [ChromiumFact]
    public void Page_InChromium_ShowsEveryPlotAndFetchesNothing()
    {
        string page = ReportPage.Write(Report());
        (string dom, string messages) = Browse(page.Replace("</body>", Probe + "</body>", StringComparison.Ordinal));

        Assert.DoesNotContain("CONSOLE", messages, StringComparison.Ordinal);
        JsonElement seen = JsonDocument.Parse(System.Net.WebUtility.HtmlDecode(ProbeResult().Match(dom).Groups[1].Value)).RootElement;
        Assert.Equal(0, seen.GetProperty("fetched").GetInt32());
        Assert.False(seen.GetProperty("wide").GetBoolean(), "the page is wider than the window");
        Assert.Equal(5, seen.GetProperty("rows").GetInt32()); // a head and a row for each series
        JsonElement[] plots = [.. seen.GetProperty("plots").EnumerateArray()];
        Assert.Equal(["read-4k: rate", "read-4k: exits", "read-4k: cpu guest, cpu kvm, cpu vmm", "read-4k: distribution of latencies"], plots.Select(p => p.GetProperty("label").GetString()!.Split(" (")[0]));
        Assert.All(plots, p => Assert.True(p.GetProperty("width").GetDouble() > 300 && p.GetProperty("height").GetDouble() > 50, p.GetRawText()));
        Assert.All(plots, p => Assert.True(p.GetProperty("outside").GetInt32() == 0, p.GetRawText()));
        Assert.Equal([4, 2, 15, 0], plots.Select(p => p.GetProperty("bars").GetInt32())); // the third: three parts of four bars, three of its legend
        Assert.Equal(4, plots[3].GetProperty("curves").GetInt32());
    }

    private static BenchReport Report() => new("paths", [new("kernel", "6.12")], [new("rounds", "2")],
    [
        .. from side in (string[])["kvmsharp", "qemu"]
           from completion in (string[])["polled", "interrupt"]
           select new Series(side, "virtio-blk", "read-4k", completion, Metrics(side), [new(100, 5), new(1000, 30), new(20_000, 1), new(99_000_000, 1)]),
    ]);

    private static List<Metric> Metrics(string side)
    {
        List<Metric> metrics = [new("rate", "1/s", true, [123_456, 234_567])];
        if (side == "kvmsharp")
            metrics.Add(new("exits", "per op", false, [0.25, 0.5]));
        metrics.AddRange(CpuSplit.Metrics(true, [new RoundCost(default, new CpuTimes(300, 200, 500), 100), new RoundCost(default, new CpuTimes(310, 210, 510), 100)]));
        return metrics;
    }

    private (string Dom, string Messages) Browse(string page)
    {
        string file = Path.Combine(_folder.FullName, "page.html");
        File.WriteAllText(file, page);
        var start = new ProcessStartInfo("chromium") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,900", "--enable-logging=stderr",
            "--user-data-dir=" + Path.Combine(_folder.FullName, "profile"), "--dump-dom", "file://" + file])
            start.ArgumentList.Add(argument);
        using Process browser = Process.Start(start)!;
        Task<string> messages = browser.StandardError.ReadToEndAsync();
        Task<string> dom = browser.StandardOutput.ReadToEndAsync();
        if (!browser.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            browser.Kill(entireProcessTree: true);
            Assert.Fail("Chromium does not come to its end");
        }

        Assert.True(browser.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"Chromium ended with {browser.ExitCode}: {messages.Result}"));
        return (dom.Result, messages.Result);
    }

    [GeneratedRegex("<pre id=\"probe\">(.*?)</pre>", RegexOptions.Singleline)]
    private static partial Regex ProbeResult();
}
