using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve.Tests;

/// <summary>Threads that are held up go on, whether somebody watched when they were or dozed; nobody watches threads that sleep.</summary>
public sealed class StallWatchTests : IDisposable
{
    /// <summary>Short, so that the watch dozes off and wakes often.</summary>
    private const long IntervalNs = 200_000;

    private readonly EventLoop[] _loops = new EventLoop[2];
    private readonly StallWatch _watch;

    public StallWatchTests()
    {
        for (int i = 0; i < _loops.Length; i++)
        {
            _loops[i] = new EventLoop(new EventLoopOptions { Name = $"watched {i}", Interruptible = true });
            _loops[i].Start();
        }

        _watch = new StallWatch(_loops, _ => { }, IntervalNs);
    }

    public void Dispose()
    {
        _watch.Dispose();
        foreach (EventLoop loop in _loops)
            loop.Dispose();
    }

    [Fact]
    public void ThreadsSleep_NobodyWatches()
    {
        AwaitDoze();
        long looks = _watch.Looks;
        Thread.Sleep(50);

        Assert.Equal(looks, _watch.Looks);
    }

    /// <summary>However the thread's wake-up falls into the watch's dozing off.</summary>
    [Fact]
    public void ThreadIsHeldUp_AtAnyMoment_GoesOn()
    {
        Random random = new(7);
        for (int i = 0; i < 1000; i++)
        {
            using BlockedCall call = new();
            if (i % 8 == 0)
                AwaitDoze();
            Thread.SpinWait(random.Next(40_000));
            _loops[i % 2].Post(call, 0);

            Assert.True(call.WaitInterrupted(), $"call {i} blocks for ever");
        }
    }

    private void AwaitDoze() => Patience.Await(() => _watch.IsDozing, () => "the watch does not doze off");

    /// <summary>Blocks the thread that it runs on until somebody interrupts it.</summary>
    private sealed class BlockedCall : IEventSink, IDisposable
    {
        private readonly EventFd _full = new();
        private readonly ManualResetEventSlim _interrupted = new();

        public unsafe BlockedCall()
        {
            ulong most = ulong.MaxValue - 1;
            Assert.Equal(sizeof(ulong), Abi.Libc.write(_full.Value, &most, sizeof(ulong)));
            Assert.Equal(0, Abi.Libc.fcntl(_full.Value, Abi.LibcConstants.F_SETFL, 0));
        }

        public void OnReady(uint cookie, uint epollEvents)
        {
            Assert.False(_full.TrySignal());
            _interrupted.Set();
        }

        public bool WaitInterrupted()
        {
            bool interrupted = _interrupted.Wait(Patience.Limit);
            if (!interrupted)
                _ = _full.Drain();
            return interrupted;
        }

        public void Dispose()
        {
            _full.Dispose();
            _interrupted.Dispose();
        }
    }
}
