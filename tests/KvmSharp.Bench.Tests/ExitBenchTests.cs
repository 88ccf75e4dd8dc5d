using KvmSharp.Bench.Exits;
using KvmSharp.Bench.Report;

namespace KvmSharp.Bench.Tests;

/// <summary>Every kind of exit, under both loops, on this host's KVM.</summary>
public sealed class ExitBenchTests
{
    [Fact]
    public void Run_OneRound_EveryKindHasItsCostAndItsFloor()
    {
        BenchReport report = new ExitBench(1, _ => { }).Run(CancellationToken.None);

        Assert.Equal(["guest-loop", "pio-out", "pio-in", "mmio-write", "mmio-read", "ioeventfd", "irqfd", "signal-msi"], report.Series.Select(s => s.Path));
        Assert.All(report.Series, s => Assert.Equal(["cost", "floor", "over floor"], s.Metrics.Select(m => m.Name)));
        Assert.All(report.Series, s => Assert.True(s.Find("cost")!.Median > 0 && s.Find("floor")!.Median > 0, s.Topic));
    }

    [Fact]
    public void Run_Cancelled_Stops()
    {
        using var cancel = new CancellationTokenSource();

        Assert.Throws<OperationCanceledException>(() => new ExitBench(1000, _ => cancel.Cancel()).Run(cancel.Token));
    }

    [Fact]
    public void Floor_CodeThatDoesNotFit_IsAnError()
    {
        Core.LinuxException error = Assert.Throws<Core.LinuxException>(() => ExitFloor.Measure(new ExitKind("huge", new byte[0x1_0000]), 1, 1));

        Assert.Contains("huge", error.Message, StringComparison.Ordinal);
    }
}
