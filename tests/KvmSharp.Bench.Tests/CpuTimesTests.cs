using System.Diagnostics;
using KvmSharp.Bench.Report;
using KvmSharp.Core;

namespace KvmSharp.Bench.Tests;

public sealed class CpuTimesTests
{
    [Fact]
    public void Parse_NameWithSpacesAndParentheses_FindsTheFields()
    {
        CpuTimes? times = CpuTimes.Parse("77 (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 350 120 0 0 20 0 9 0 5 1 1 1 1 1 1 1 1 0 0 0 0 0 0 0 17 1 0 0 0 300 0 0 0 0 0 0 0 0 0", out string name);

        Assert.Equal("a) b (c", name);
        Assert.Equal(new CpuTimes(500_000, 1_200_000, 3_000_000), times);
    }

    [Theory]
    [InlineData("")]
    [InlineData("77 (a")]
    [InlineData("77 (a) S 1 2 3")]
    public void Parse_NotAStat_IsNothing(string text) => Assert.Null(CpuTimes.Parse(text, out _));

    [Fact]
    public void Read_ThreadThatWorks_IsCountedByItsName()
    {
        Thread thread = HostThread.Create("bench burns", ThreadRole.Runtime, static () =>
        {
            for (var watch = Stopwatch.StartNew(); watch.ElapsedMilliseconds < 20_000 && !s_done;)
            {
            }
        });
        s_done = false;
        thread.Start();
        var limit = Stopwatch.StartNew();
        CpuTimes its;
        do
        {
            Thread.Sleep(50);
            its = CpuTimes.Read(Environment.ProcessId, (_, name) => name == "bench burns");
        }
        while (its.Vmm < 100_000 && limit.Elapsed < TimeSpan.FromSeconds(20));
        s_done = true;
        thread.Join();

        Assert.True(its.Vmm >= 100_000, $"{its}");
        Assert.Equal(default, CpuTimes.Read(Environment.ProcessId, (_, name) => name == "no such"));
    }

    [Fact]
    public void Read_ProcessThatIsGone_IsNothing() => Assert.Equal(default, CpuTimes.Read(int.MaxValue, (_, _) => true));

    [Fact]
    public void Split_HostTellsTheGuestApart_IsInThreeParts() =>
        Assert.Equal([("cpu guest", 5), ("cpu kvm", 2), ("cpu vmm", 3)], CpuSplit.Metrics(true, [new RoundCost(default, new CpuTimes(300, 200, 500), 100)]).Select(m => (m.Name, m.Median)));

    [Fact]
    public void Split_HostDoesNot_IsInTwo() => Assert.Equal(["cpu guest+kvm", "cpu vmm"], CpuSplit.Metrics(false, [new RoundCost(default, new CpuTimes(300, 700, 0), 100)]).Select(m => m.Name));

    [Fact]
    public void Split_PartThatWentBack_IsNothing() => Assert.Equal(0, CpuSplit.Metrics(true, [new RoundCost(default, new CpuTimes(-10, 5, 20), 5)]).Last().Median);

    [Fact]
    public void Split_RoundWithoutOperations_IsNothing() => Assert.Empty(CpuSplit.Metrics(true, [new RoundCost(default, new CpuTimes(1, 1, 1), 5), new RoundCost(default, new CpuTimes(1, 1, 1), 0)]));

    private static volatile bool s_done;
}
