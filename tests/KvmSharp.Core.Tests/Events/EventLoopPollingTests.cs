using System.Diagnostics;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

public sealed class EventLoopPollingTests
{
    [Fact]
    public void Poll_WorkArrivesWhilePolling_IsFoundWithoutWakeUp()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "polling", PollMaxNs = 2_000_000_000 });
        using EventFd fd = new();
        WorkPoll poll = new();
        loop.AddPollSink(poll);
        loop.Register(fd, LibcConstants.EPOLLIN, new RecordingSink { DrainOnReady = fd }, 0);
        loop.Start();
        // The window starts at zero and grows with each event that comes soon enough.
        for (int i = 0; i < 40 && poll.Begun == 0; i++)
        {
            fd.Signal();
            Thread.Sleep(1);
        }

        Assert.NotEqual(0, poll.Begun);
        for (int i = 0; i < 200 && poll.Found == 0; i++)
        {
            fd.Signal();
            Volatile.Write(ref poll.Work, 1);
            Thread.Sleep(1);
        }

        Assert.NotEqual(0, poll.Found);
        loop.Stop();
        Assert.Equal(poll.Begun, poll.Ended);
        Assert.NotEqual(0, loop.PollHits);
    }

    [Fact]
    public void Poll_WorkAgainAndAgain_StaysInOnePhase()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "polling", PollMaxNs = 60_000_000_000 });
        using EventFd fd = new();
        WorkPoll poll = new();
        loop.AddPollSink(poll);
        loop.Register(fd, LibcConstants.EPOLLIN, new RecordingSink { DrainOnReady = fd }, 0);
        loop.Start();
        // While the window is short the loop sleeps through the work now and then, and is woken.
        for (int i = 0; i < 300; i++)
            GiveWork(poll, fd);
        int begun = poll.Begun, found = poll.Found;
        for (int i = 0; i < 300; i++)
            GiveWork(poll, fd);
        loop.Stop();

        Assert.Equal(300, poll.Found - found);
        Assert.InRange(poll.Begun - begun, 0, 60);
    }

    /// <summary>Also where phases end in between, because a descriptor is ready.</summary>
    [Fact]
    public void Poll_AllSinksBusy_EachHasOneTurnInEveryRound()
    {
        const int Sinks = 64, Rounds = 500;
        using EventLoop loop = new(new EventLoopOptions { Name = "busy", PollMaxNs = long.MaxValue });
        using EventFd fd = new();
        Turns turns = new(Sinks * Rounds);
        loop.Register(fd, LibcConstants.EPOLLIN, new RecordingSink { DrainOnReady = fd }, 0);
        for (int i = 0; i < Sinks; i++)
            loop.AddPollSink(new TurnPoll(turns, i, i == Sinks / 2 ? fd : null));
        loop.Start();

        Assert.True(turns.WaitAll());
        Assert.Equal(Enumerable.Range(0, Sinks * Rounds).Select(turn => turn % Sinks), turns.Taken);
    }

    /// <summary>As queues do whose turn is over before their work is.</summary>
    [Fact]
    public void Post_AllSinksPostThemselvesAgain_EachHasOneTurnInEveryRound()
    {
        const int Sinks = 64, Rounds = 500;
        using EventLoop loop = new(new EventLoopOptions { Name = "busy" });
        Turns turns = new(Sinks * Rounds);
        for (int i = 0; i < Sinks; i++)
            loop.Post(new TurnPost(turns, loop), (uint)i);
        loop.Start();

        Assert.True(turns.WaitAll());
        Assert.Equal(Enumerable.Range(0, Sinks * Rounds).Select(turn => turn % Sinks), turns.Taken);
    }

    [Fact]
    public void Poll_MaxIsZero_NeverPolls()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "sleepy", PollMaxNs = 0 });
        WorkPoll poll = new();
        loop.AddPollSink(poll);
        loop.Start();
        loop.Invoke(new RecordingSink(), 0);
        loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(0, poll.Begun);
    }

    [Fact]
    public void RemovePollSink_OffLoop_IsNotCalledAfterwards()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "polling", PollMaxNs = 1_000_000 });
        WorkPoll poll = new() { AlwaysFinds = true };
        loop.AddPollSink(poll);
        loop.Start();
        for (int i = 0; i < 50; i++)
            loop.Invoke(new RecordingSink(), 0);
        loop.RemovePollSink(poll);
        int begun = poll.Begun;
        for (int i = 0; i < 10; i++)
            loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(begun, poll.Begun);
        Assert.Equal(begun, poll.Ended);
    }

    [Fact]
    public void Poll_AlwaysFindsWork_DescriptorsAndStopStillServed()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "busy", PollMaxNs = 1_000_000_000 });
        using EventFd fd = new();
        RecordingSink sink = new() { DrainOnReady = fd };
        loop.AddPollSink(new WorkPoll { AlwaysFinds = true });
        loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        loop.Start();
        for (int i = 0; i < 20; i++)
        {
            fd.Signal();
            Assert.True(sink.WaitCall());
        }

        loop.Stop();
        Assert.True(sink.Count >= 20);
    }

    [Fact]
    public void PollTimer_EventsSoonThenLate_GrowsToTheBoundAndFallsToZero()
    {
        PollTimer timer = new(32768, grow: 2, shrink: 0);
        timer.Update(1000, found: false);
        Assert.Equal(4000, timer.CurrentNs);
        timer.Update(3000, found: false);
        Assert.Equal(4000, timer.CurrentNs);
        timer.Update(30000, found: false);
        Assert.Equal(32000, timer.CurrentNs);
        timer.Update(32500, found: false);
        Assert.Equal(32768, timer.CurrentNs);
        timer.Update(40000, found: false);
        Assert.Equal(0, timer.CurrentNs);
    }

    [Fact]
    public void PollTimer_ShrinkDivisor_DividesInsteadOfClearing()
    {
        PollTimer timer = new(32768, grow: 2, shrink: 2);
        timer.Update(1000, found: false);
        timer.Update(30000, found: false);
        timer.Update(1_000_000, found: false);
        Assert.Equal(16000, timer.CurrentNs);
    }

    [Fact]
    public void PollTimer_EventsAlwaysLate_TriesMoreAndMoreRarely()
    {
        PollTimer timer = new(32768, grow: 2, shrink: 0);
        int trials = 0;
        for (int i = 0; i < 100_000; i++)
            trials += Wait(ref timer, found: false) ? 1 : 0;
        Assert.InRange(trials, 1500, 1600);
    }

    [Fact]
    public void PollTimer_TrialFindsWork_PollsAgainAfterTheNextSleep()
    {
        PollTimer timer = new(32768, grow: 2, shrink: 0);
        for (int i = 0; i < 10_000; i++)
            Wait(ref timer, found: false);
        while (!Wait(ref timer, found: true))
        {
        }

        Assert.True(Wait(ref timer, found: true));
        Assert.True(Wait(ref timer, found: false));
        Assert.False(Wait(ref timer, found: false));
    }

    [Fact]
    public void PollTimer_LongBound_TrialIsShort()
    {
        PollTimer timer = new(1_000_000_000, grow: 2, shrink: 0);
        timer.Begin();
        Assert.Equal(1_000_000, timer.CurrentNs);
    }

    /// <summary>A wait that ends late; true if it was polled.</summary>
    private static bool Wait(ref PollTimer timer, bool found)
    {
        timer.Begin();
        bool polled = timer.CurrentNs > 0;
        timer.Update(1_000_000, polled && found);
        return polled;
    }

    private static void GiveWork(WorkPoll poll, EventFd fd)
    {
        Volatile.Write(ref poll.Work, 1);
        Stopwatch waited = Stopwatch.StartNew();
        SpinWait wait = default;
        while (Volatile.Read(ref poll.Work) != 0)
        {
            wait.SpinOnce();
            if (waited.ElapsedMilliseconds < 50)
                continue;
            fd.Signal();
            waited.Restart();
        }
    }

    private sealed class WorkPoll : IPollSink
    {
        public int Work;

        public bool AlwaysFinds { get; init; }

        public int Begun { get; private set; }

        public int Ended { get; private set; }

        public int Found { get; private set; }

        public void BeginPoll() => Begun++;

        public bool Poll()
        {
            if (!AlwaysFinds && Volatile.Read(ref Work) == 0)
                return false;
            // Before the giver sees that it was taken.
            Found++;
            Volatile.Write(ref Work, 0);
            return true;
        }

        public void EndPoll() => Ended++;
    }
}
