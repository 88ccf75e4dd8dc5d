using System.Xml.Linq;
using KvmSharp.Bench.Report;
using KvmSharp.Machine.Config;

namespace KvmSharp.Bench.Tests;

public sealed class ReportTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-report-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Json_WrittenAndRead_MeansTheSame()
    {
        BenchReport report = Report(Metric(10, 12, 11));

        BenchReport read = ReportJson.ReadFile(File(ReportJson.Write(report)));

        Assert.Equal(ReportJson.Write(report), ReportJson.Write(read));
        Assert.Equal(11, read.Series[0].Metrics[0].Median);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"bench\":\"paths\",\"version\":2,\"host\":{},\"settings\":{},\"series\":[]}")]
    [InlineData("{\"bench\":\"paths\",\"version\":1,\"host\":[],\"settings\":{},\"series\":[]}")]
    [InlineData("{\"bench\":\"paths\",\"version\":1,\"host\":{},\"settings\":{},\"series\":[{}]}")]
    [InlineData("{\"bench\":\"paths\",\"version\":1,\"host\":{},\"settings\":{},\"series\":[{\"side\":\"a\",\"path\":\"b\",\"work\":\"c\",\"completion\":\"\",\"metrics\":[{\"name\":\"n\",\"unit\":\"\",\"higher-is-better\":true,\"samples\":[]}],\"latency\":[]}]}")]
    public void Json_NotAReport_IsRefusedInOneLine(string text)
    {
        ConfigException error = Assert.Throws<ConfigException>(() => ReportJson.ReadFile(File(text)));

        Assert.Contains("is not a report of kvmsharp bench", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_FileMissing_IsRefusedInOneLine() => Assert.Throws<ConfigException>(() => ReportJson.ReadFile(Path.Combine(_folder.FullName, "nothing")));

    [Fact]
    public void Judge_RoundsOverlap_IsNoise() => Assert.Equal(Change.Noise, Comparison.Judge(Metric(100, 110, 120), Metric(119, 130, 140)));

    [Fact]
    public void Judge_RoundsApartUpwards_IsBetter() => Assert.Equal(Change.Better, Comparison.Judge(Metric(100, 105, 110), Metric(111, 115, 120)));

    [Fact]
    public void Judge_RoundsApartDownwards_IsWorse() => Assert.Equal(Change.Worse, Comparison.Judge(Metric(100, 105, 110), Metric(80, 90, 99)));

    [Fact]
    public void Judge_LowerIsBetter_TurnsRound() =>
        Assert.Equal(Change.Better, Comparison.Judge(Metric(100, 105, 110) with { HigherIsBetter = false }, Metric(80, 90, 99) with { HigherIsBetter = false }));

    [Fact]
    public void Judge_ApartButHardly_IsNoise() => Assert.Equal(Change.Noise, Comparison.Judge(Metric(100, 100, 100), Metric(101, 101, 101)));

    [Fact]
    public void Judge_TwoRounds_DoesNotSay() => Assert.Equal(Change.Unknown, Comparison.Judge(Metric(100, 110), Metric(10, 20)));

    [Fact]
    public void Comparison_SaysWhatChanged()
    {
        string text = Comparison.Write(Report(Metric(100, 101, 102)), Report(Metric(50, 51, 52)));

        Assert.Contains("WORSE", text, StringComparison.Ordinal);
        Assert.Contains("0 better, 1 worse, 0 of too few rounds, 0 within the noise", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Page_IsWellFormedSelfContainedAndHasEveryChart()
    {
        string page = ReportPage.Write(Report(Metric(10, 12, 11)));

        // Apart from its head the page is XML as well.
        XElement body = XElement.Parse(page[page.IndexOf("<body>", StringComparison.Ordinal)..page.IndexOf("</html>", StringComparison.Ordinal)]);
        Assert.Equal(2, body.Descendants("svg").Count());
        Assert.NotEmpty(body.Descendants("polyline"));
        Assert.DoesNotContain("http", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.Contains("a &lt;b&gt; &amp; c", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Table_SaysMedianAndSpread() => Assert.Contains("11.0 ± 9.1 %", ReportTable.Write(Report(Metric(10, 12, 11))), StringComparison.Ordinal);

    [Fact]
    public void Table_SideLacksAFigure_StandsBelowTheOtherSide()
    {
        BenchReport report = Report(Metric(10)) with
        {
            Series =
            [
                new Series("kvmsharp", "e1000", "tcp-out", "", [new("speed", "Mbit/s", true, [5]), new("exits", "per op", false, [3])], []),
                new Series("qemu", "e1000", "tcp-out", "", [new("speed", "Mbit/s", true, [4])], []),
                new Series("kvmsharp", "e1000", "send-64", "", [Metric(7)], []),
            ],
        };

        string[] lines = ReportTable.Write(report).Split('\n');

        int head = Array.FindIndex(lines, l => l.Contains("speed (Mbit/s)  exits (per op)", StringComparison.Ordinal));
        Assert.StartsWith("e1000 tcp-out  kvmsharp", lines[head + 1], StringComparison.Ordinal);
        Assert.StartsWith("e1000 tcp-out  qemu", lines[head + 2], StringComparison.Ordinal);
        Assert.EndsWith(" -", lines[head + 2], StringComparison.Ordinal);
        Assert.Contains("rate (1/s)", lines[head + 4], StringComparison.Ordinal);
    }

    private static Metric Metric(params double[] samples) => new("rate", "1/s", true, samples);

    private static BenchReport Report(Metric metric) => new("paths", [new("kernel", "a <b> & c")], [new("rounds", "3")],
        [new Series("kvmsharp", "virtio-blk", "read-4k", "polled", [metric], [new(100, 5), new(1000, 3), new(20_000, 1)])]);

    private string File(string text)
    {
        string path = Path.Combine(_folder.FullName, "report.json");
        System.IO.File.WriteAllText(path, text);
        return path;
    }
}
