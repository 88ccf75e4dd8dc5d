using System.Diagnostics;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

public sealed class EventLoopTests : IDisposable
{
    private readonly EventLoop _loop = new(new EventLoopOptions { Name = "test-loop" });

    public void Dispose() => _loop.Dispose();

    [Fact]
    public void Register_DescriptorBecomesReady_CallsSinkOnLoopThread()
    {
        using EventFd fd = new();
        RecordingSink sink = new() { DrainOnReady = fd };
        _loop.Start();
        _loop.Register(fd, LibcConstants.EPOLLIN, sink, 7);
        fd.Signal();
        Assert.True(sink.WaitCall());
        Assert.Equal(7u, sink.LastCookie);
        Assert.Equal(LibcConstants.EPOLLIN, sink.LastEvents);
        Assert.Equal("test-loop", sink.LastThread!.Name);
    }

    [Fact]
    public void Register_BeforeStart_DeliversAfterStart()
    {
        using EventFd fd = new();
        RecordingSink sink = new() { DrainOnReady = fd };
        _loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        fd.Signal();
        _loop.Start();
        Assert.True(sink.WaitCall());
    }

    [Fact]
    public void CallOnWaking_LoopHasSlept_IsTheFirstToRun()
    {
        RecordingSink sink = new();
        (int Calls, bool Slept) seen = (-1, true);
        _loop.Start();
        Assert.True(SpinWait.SpinUntil(() => _loop.IsSleeping, TimeSpan.FromSeconds(20)));
        _loop.CallOnWaking(() => seen = (sink.Count, _loop.IsSleeping));
        _loop.Post(sink, 0);
        Assert.True(sink.WaitCall());

        Assert.Equal((0, false), seen);
    }

    [Fact]
    public void Register_RegularFile_ThrowsWithErrno()
    {
        using FileDescriptor file = FileDescriptor.Open("/etc/hostname", LibcConstants.O_RDONLY);
        LinuxException error = Assert.Throws<LinuxException>(() => _loop.Register(file, LibcConstants.EPOLLIN, new RecordingSink(), 0));
        Assert.Equal(LibcConstants.EPERM, error.Errno);
    }

    [Fact]
    public void Register_MoreThanInitialSlots_DeliversEach()
    {
        EventFd[] fds = [.. Enumerable.Range(0, 100).Select(_ => new EventFd())];
        RecordingSink[] sinks = [.. fds.Select(fd => new RecordingSink { DrainOnReady = fd })];
        _loop.Start();
        for (uint i = 0; i < fds.Length; i++)
            _loop.Register(fds[i], LibcConstants.EPOLLIN, sinks[i], i);
        foreach (EventFd fd in fds)
            fd.Signal();
        Assert.All(sinks, sink => Assert.True(sink.WaitCall()));
        Assert.Equal(99u, sinks[99].LastCookie);
        Array.ForEach(fds, fd => fd.Dispose());
    }

    [Fact]
    public void Unregister_ThenSignal_DoesNotCallSink()
    {
        using EventFd fd = new();
        RecordingSink sink = new() { DrainOnReady = fd };
        _loop.Start();
        EventToken token = _loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        _loop.Unregister(token);
        fd.Signal();
        _loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(0, sink.Count);
    }

    [Fact]
    public void Unregister_WhileSinkRuns_WaitsForItToEnd()
    {
        using EventFd fd = new();
        using ManualResetEventSlim entered = new();
        using ManualResetEventSlim release = new();
        bool ended = false;
        RecordingSink sink = new()
        {
            DrainOnReady = fd,
            Body = _ =>
            {
                entered.Set();
                release.Wait();
                Thread.Sleep(20);
                Volatile.Write(ref ended, true);
            },
        };
        _loop.Start();
        EventToken token = _loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        fd.Signal();
        entered.Wait();
        release.Set();
        _loop.Unregister(token);
        Assert.True(Volatile.Read(ref ended));
    }

    [Fact]
    public void Unregister_OtherSinkInSameBatch_DropsItsStaleEvent()
    {
        using EventFd first = new();
        using EventFd second = new();
        EventToken firstToken = default;
        EventToken secondToken = default;
        RecordingSink secondSink = new() { Body = _ => _loop.Unregister(firstToken) };
        RecordingSink firstSink = new() { Body = _ => _loop.Unregister(secondToken) };
        firstToken = _loop.Register(first, LibcConstants.EPOLLIN, firstSink, 0);
        secondToken = _loop.Register(second, LibcConstants.EPOLLIN, secondSink, 0);
        first.Signal();
        second.Signal();
        _loop.Start();
        _loop.Invoke(new RecordingSink(), 0);
        _loop.Invoke(new RecordingSink(), 0);
        // Whichever ran first unregistered the other and stays registered itself, level-triggered.
        Assert.True(firstSink.Count == 0 ^ secondSink.Count == 0);
    }

    [Fact]
    public void Unregister_StaleTokenOfReusedSlot_LeavesNewOwnerAlone()
    {
        using EventFd fd = new();
        using EventFd other = new();
        EventToken stale = _loop.Register(fd, LibcConstants.EPOLLIN, new RecordingSink(), 0);
        _loop.Unregister(stale);
        RecordingSink sink = new() { DrainOnReady = other };
        EventToken fresh = _loop.Register(other, LibcConstants.EPOLLIN, sink, 0);
        _loop.Unregister(stale);
        _loop.Unregister(default);
        _loop.Start();
        other.Signal();
        Assert.Equal(stale.Slot, fresh.Slot);
        Assert.NotEqual(stale.Generation, fresh.Generation);
        Assert.True(sink.WaitCall());
    }

    [Fact]
    public void Unregister_OwnerDisposedDescriptorBefore_ClosesItThen()
    {
        EventFd fd = new();
        EventToken token = _loop.Register(fd, LibcConstants.EPOLLIN, new RecordingSink(), 0);
        fd.Dispose();
        Assert.False(fd.IsClosed && Libc.fcntl(fd.Value, LibcConstants.F_GETFL, 0) < 0);
        _loop.Unregister(token);
        Assert.True(Libc.fcntl(fd.Value, LibcConstants.F_GETFL, 0) < 0);
    }

    [Fact]
    public void Modify_ToNoEvents_StopsDelivery()
    {
        using EventFd fd = new();
        RecordingSink sink = new();
        EventToken token = _loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        _loop.Modify(token, 0);
        fd.Signal();
        _loop.Start();
        _loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(0, sink.Count);
        _loop.Modify(token, LibcConstants.EPOLLIN | 1u << 30);
        Assert.True(sink.WaitCall());
    }

    [Fact]
    public void Post_FromManyThreads_DeliversEachOnce()
    {
        RecordingSink sink = new();
        _loop.Start();
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (uint i = 0; i < 5000; i++)
                _loop.Post(sink, i);
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        for (int i = 0; i < 20000; i++)
            Assert.True(sink.WaitCall());
        Assert.Equal(20000, sink.Count);
    }

    [Fact]
    public void Post_BeyondRingCapacityBeforeStart_LosesNothing()
    {
        RecordingSink sink = new();
        for (uint i = 0; i < 3000; i++)
            _loop.Post(sink, i);
        _loop.Start();
        for (int i = 0; i < 3000; i++)
            Assert.True(sink.WaitCall());
        _loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(3000, sink.Count);
    }

    [Fact]
    public void Post_SinkRepostsForever_DoesNotStarveDescriptors()
    {
        using EventFd fd = new();
        RecordingSink ready = new() { DrainOnReady = fd };
        IEventSink greedy = new RepostingSink(_loop);
        _loop.Register(fd, LibcConstants.EPOLLIN, ready, 0);
        _loop.Start();
        _loop.Post(greedy, 0);
        fd.Signal();
        Assert.True(ready.WaitCall());
    }

    [Fact]
    public void Invoke_OffLoop_RunsOnLoopBeforeReturning()
    {
        RecordingSink sink = new();
        _loop.Start();
        _loop.Invoke(sink, 5);
        Assert.Equal(5u, sink.LastCookie);
        Assert.Equal("test-loop", sink.LastThread!.Name);
    }

    [Fact]
    public void Invoke_LoopStopped_RunsOnCaller()
    {
        RecordingSink sink = new();
        _loop.Start();
        _loop.Stop();
        _loop.Invoke(sink, 5);
        Assert.Same(Thread.CurrentThread, sink.LastThread);
    }

    [Fact]
    public void Stop_CalledTwiceAndFromSink_Ends()
    {
        RecordingSink sink = new() { Body = _ => _loop.Stop() };
        _loop.Start();
        _loop.Post(sink, 0);
        Assert.True(sink.WaitCall());
        _loop.Stop();
        _loop.Stop();
        Assert.Equal(1, sink.Count);
    }

    [Fact]
    public void OnReady_Throws_ReportsOnceAndEndsLoop()
    {
        Exception? reported = null;
        using ManualResetEventSlim failed = new();
        using EventLoop loop = new(new EventLoopOptions
        {
            Name = "failing",
            OnFailure = error =>
            {
                reported = error;
                failed.Set();
            },
        });
        loop.Start();
        loop.Post(new RecordingSink { Body = _ => throw new InvalidDataException("broken sink") }, 0);
        Assert.True(failed.Wait(20000));
        Assert.Equal("broken sink", reported!.Message);
        RecordingSink later = new();
        loop.Invoke(later, 0);
        Assert.Equal(1, later.Count);
    }

    [Fact]
    public void Start_PinnedToCpu_RunsThereOnly()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "pinned", Cpus = [0] });
        string? allowed = null;
        loop.Start();
        loop.Invoke(new RecordingSink { Body = _ => allowed = AllowedCpus() }, 0);
        Assert.Equal("0", allowed);
    }

    [Fact]
    public void Start_CpuDoesNotExist_ThrowsNamingIt()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "nowhere", Cpus = [8000] });
        LinuxException error = Assert.Throws<LinuxException>(loop.Start);
        Assert.Contains("8000", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Steady_PostsAndEvents_AllocatesNothing()
    {
        using EventFd fd = new();
        AllocationSink sink = new(_loop, fd, rounds: 20000);
        _loop.Register(fd, LibcConstants.EPOLLIN, sink, 0);
        _loop.Start();
        fd.Signal();
        Assert.True(sink.Done.Wait(60000));
        Assert.Equal(0, sink.AllocatedBytes);
    }

    private static string AllowedCpus() => File.ReadLines($"/proc/self/task/{Libc.gettid()}/status")
        .First(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)).Split(':')[1].Trim();

    private sealed class RepostingSink(EventLoop loop) : IEventSink
    {
        public void OnReady(uint cookie, uint epollEvents) => loop.Post(this, cookie);
    }

    /// <summary>Alternates between a post and a descriptor event, and measures the loop thread's allocations after a warm-up.</summary>
    private sealed class AllocationSink(EventLoop loop, EventFd fd, int rounds) : IEventSink
    {
        private int _round;
        private long _start;

        public ManualResetEventSlim Done { get; } = new();

        public long AllocatedBytes { get; private set; } = -1;

        public void OnReady(uint cookie, uint epollEvents)
        {
            if (_round == rounds / 2)
                _start = GC.GetAllocatedBytesForCurrentThread();
            if (_round == rounds)
            {
                AllocatedBytes = GC.GetAllocatedBytesForCurrentThread() - _start;
                fd.Drain();
                Done.Set();
            }

            if (_round++ >= rounds)
                return;
            if (epollEvents != 0)
            {
                fd.Drain();
                loop.Post(this, 0);
            }
            else
            {
                fd.Signal();
            }
        }
    }
}
