using System.Text.Json;
using KvmSharp.Bench.Counters;
using KvmSharp.Bench.Paths;
using KvmSharp.Bench.Report;
using KvmSharp.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvmSharp.Bench.Tests;

/// <summary>The bench guest on this host's KVM and under QEMU.</summary>
public sealed class PathBenchTests
{
    private static readonly PathOptions s_short = new() { Rounds = 1, WarmupMs = 5, MeasureMs = 20 };

    [Fact]
    public void KvmSharp_DiskAndNet_EveryWorkloadHasItsFigures() => NetworkNamespace.Run(() =>
    {
        BenchReport report = Run(s_short);

        string[] expected =
        [
            "ide read-4k", "ide read-64k", "ide write-4k", "e1000 send-64", "e1000 send-1514", "e1000 round-trip", "e1000 receive-64",
            "virtio-blk read-4k", "virtio-blk read-4k-deep", "virtio-blk read-64k", "virtio-blk write-4k", "virtio-net send-64", "virtio-net send-1514", "virtio-net round-trip", "virtio-net receive-64",
        ];
        Assert.Equal(expected.SelectMany(e => (string[])[$"{e} polled", $"{e} interrupt"]), report.Series.Select(s => s.Topic));
        Assert.All(report.Series, s => Assert.Equal("kvmsharp", s.Side));
        Assert.All(report.Series, AssertFigures);
        Assert.All(report.Series.Where(s => !MayStarve(s)), s => Assert.NotNull(s.Find("exits")));
        Assert.All(report.Series.Where(s => s.Completion == "polled"), s => Assert.Equal(0, s.Find("interrupts")?.Median ?? 0));
        Assert.All(report.Series.Where(s => s.Completion == "interrupt"), s => Assert.True(s.Find("interrupts")!.Median > 0, s.Topic));
    });

    [QemuFact]
    public void Qemu_SameGuest_SameWorkloads() => NetworkNamespace.Run(() =>
    {
        BenchReport report = Run(s_short with { Peer = new QemuPeer(Accelerator: "tcg") });

        Assert.Equal(report.Series.Where(s => s.Side == "kvmsharp").Select(s => s.Topic), report.Series.Where(s => s.Side == "qemu").Select(s => s.Topic));
        Assert.Equal(30, report.Series.Count(s => s.Side == "qemu"));
        Assert.All(report.Series, AssertFigures);
        Assert.DoesNotContain("ksb", NetworkNamespace.Ip("link"), StringComparison.Ordinal);
    });

    [QemuFact]
    public void Qemu_OnKvm_ExitsOfBothSidesAreOfOneKind()
    {
        // Long enough that a moment in which the host was busy does not count for more than the reads.
        BenchReport report = Run(s_short with { WithNet = false, MeasureMs = 200, Peer = new QemuPeer() });

        Series[] ide = [.. report.Series.Where(s => s.Topic == "ide read-4k interrupt")];
        Assert.Equal(["kvmsharp", "qemu"], ide.Select(s => s.Side));
        Assert.NotNull(ide[0].Find("exits"));
        if (ExitTracepoint.TryFind(out string problem) is null)
        {
            Assert.Null(ide[1].Find("exits"));
            Assert.Contains(report.Settings, f => f.Name == "exits" && f.Value.EndsWith(problem, StringComparison.Ordinal));
            return;
        }

        // A read of a sector by DMA takes either VMM about a dozen register accesses.
        Assert.All(ide, s => Assert.InRange(s.Find("exits")!.Median, 8, 40));
        Assert.Contains(report.Settings, f => f.Name == "exits" && f.Value.Contains("both sides", StringComparison.Ordinal));
        Assert.Contains(report.Settings, f => f.Name == "kvm exits");
    }

    [Fact]
    public void PeerMissing_SaysSoAndLeavesNothing()
    {
        string[] before = Folders();

        BenchException error = Assert.Throws<BenchException>(() => Run(s_short with { WithNet = false, Rounds = 2, Peer = new QemuPeer("/nowhere/qemu") }));

        Assert.Contains("/nowhere/qemu", error.Message, StringComparison.Ordinal);
        Assert.Empty(Folders().Except(before));
    }

    [Fact]
    public void Cancelled_WhileTheGuestRuns_EndsAndLeavesNothing()
    {
        string[] before = Folders();
        using var cancel = new CancellationTokenSource();

        Assert.ThrowsAny<OperationCanceledException>(() =>
            new PathBench(s_short with { WithNet = false, MeasureMs = 30_000 }, NullLoggerFactory.Instance, _ => cancel.Cancel()).Run(cancel.Token));

        Assert.Empty(Folders().Except(before));
    }

    [Fact]
    public void FramePeer_NoSuchInterface_SaysSo()
    {
        BenchException error = Assert.Throws<BenchException>(() => new FramePeer("nowhere0", "round-trip"));

        Assert.Contains("nowhere0", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("what is this")]
    [InlineData("[1,2]")]
    [InlineData("{\"path\":\"x\",\"completion\":\"polled\"}")]
    [InlineData("{\"path\":\"x\",\"completion\":\"polled\",\"work\":\"w\",\"operations\":\"many\",\"bytes\":0,\"errors\":0,\"ns\":1,\"interrupts\":0}")]
    public void Parse_NoResultLine_IsRefused(string line) => Assert.Throws<BenchException>(() => PathSample.Parse(line, default, default));

    [Fact]
    public void Parse_LineAboutSomethingElse_IsNoSample() => Assert.Null(PathSample.Parse("{\"begin\":\"read-4k\",\"path\":\"virtio-blk\"}", default, default));

    private static BenchReport Run(PathOptions options)
    {
        BenchReport report = new PathBench(options, NullLoggerFactory.Instance, _ => { }).Run(CancellationToken.None);
        using JsonDocument json = JsonDocument.Parse(ReportJson.Write(report));
        Assert.Equal("paths", json.RootElement.GetProperty("bench").GetString());
        return report;
    }

    private static void AssertFigures(Series series)
    {
        if (series.Work != "round-trip")
            Assert.Null(series.Find("errors"));
        if (MayStarve(series) && series.Find("rate")!.Median == 0)
            return;
        Assert.True(series.Find("rate")!.Median > 0, series.Topic);
        Assert.True(series.Find("p50")!.Median > 0, series.Topic);
        Assert.True(series.Find("p99")!.Median >= series.Find("p50")!.Median, series.Topic);
        Assert.Equal(series.Latency.Select(b => b.Nanoseconds).Order(), series.Latency.Select(b => b.Nanoseconds));
    }

    /// <summary>A guest that polls for what others send gets nothing in so short a time if these have to wait for its CPU. A round trip then counts as lost.</summary>
    private static bool MayStarve(Series series) => series is { Completion: "polled", Work: "receive-64" or "round-trip" };

    private static string[] Folders() => [.. Directory.GetDirectories(Path.GetTempPath(), "kvmsharp-bench-*"), .. Directory.GetDirectories("/dev/shm", "kvmsharp-bench-*")];
}
