using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

public sealed class WakeCostTests
{
    private const long TimeoutNs = WakeCost.TimeoutMs * 1_000_000L;
    private const long SlackNs = 50_000;

    [Fact]
    public void Add_EightSleeps_CostIsTheLowerQuartileBeyondTimeoutAndSlack()
    {
        WakeCost cost = default;
        foreach (long lateNs in (ReadOnlySpan<long>)[90_000, 61_000, 5_000_000, 70_000, 62_000, 80_000, 63_000])
            cost.Add(TimeoutNs + lateNs);
        Assert.False(cost.IsKnown);

        cost.Add(TimeoutNs + 300_000);
        Assert.True(cost.IsKnown);
        Assert.Equal(63_000 - SlackNs, cost.Ns);
        cost.Add(TimeoutNs);
        Assert.Equal(63_000 - SlackNs, cost.Ns);
    }

    [Fact]
    public void Add_TimersThatFireAtOnce_CostIsZero()
    {
        WakeCost cost = default;
        while (!cost.IsKnown)
            cost.Add(TimeoutNs + 10_000);
        Assert.Equal(0, cost.Ns);
    }

    [Theory]
    [InlineData(0, 65_536)]
    [InlineData(8_000, 65_536)]
    [InlineData(40_000, 320_000)]
    [InlineData(5_000_000, 1_000_000)]
    public void BoundFor_CostOfWaking_IsEightTimesItWithinReason(long costNs, long boundNs) => Assert.Equal(boundNs, PollTimer.BoundFor(costNs));

    [Fact]
    public void Rebound_LongerBound_CatchesWhatCameTooLateBefore()
    {
        PollTimer timer = new(PollTimer.LeastBoundNs, grow: 2, shrink: 0);
        timer.Update(300_000, found: false);
        Assert.Equal(0, timer.CurrentNs);

        timer.Rebound(400_000);
        timer.Update(300_000, found: false);
        Assert.InRange(timer.CurrentNs, 300_000, 400_000);
    }

    /// <summary>An idle loop wakes for a moment after its first sink came, and never again; with one CPU there is nothing to measure.</summary>
    [Fact]
    public void EventLoop_IdleWithASink_MeasuresAndThenSleepsForGood()
    {
        int samples = Environment.ProcessorCount > 1 ? 8 : 1;
        using EventLoop loop = new(new EventLoopOptions { Name = "idle", PollMaxNs = null });
        loop.Start();
        loop.AddPollSink(new NothingToFind());
        Assert.True(SpinWait.SpinUntil(() => loop.Wakeups >= samples, TimeSpan.FromSeconds(20)));

        long before;
        do
        {
            before = loop.Wakeups;
            Thread.Sleep(100);
        }
        while (loop.Wakeups != before && before < 100);
        Assert.InRange(before, samples, samples + 12);
    }

    private sealed class NothingToFind : IPollSink
    {
        public void BeginPoll()
        {
        }

        public bool Poll() => false;

        public void EndPoll()
        {
        }
    }
}
