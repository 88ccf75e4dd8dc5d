using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

public sealed class EventTimerTests
{
    [Fact]
    public void Arm_Once_ExpiresOnceWithCookie()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "timers" });
        RecordingSink sink = new();
        using EventTimer timer = new(loop, sink, 9);
        loop.Start();
        timer.Arm(1000);
        Assert.True(sink.WaitCall());
        Assert.Equal(9u, sink.LastCookie);
    }

    [Fact]
    public void Arm_WithPeriod_ExpiresAgainUntilDisposed()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "timers" });
        RecordingSink sink = new();
        EventTimer timer = new(loop, sink, 0);
        loop.Start();
        timer.Arm(1000, 1_000_000);
        Assert.True(sink.WaitCall());
        Assert.True(sink.WaitCall());
        timer.Dispose();
        int count = sink.Count;
        loop.Invoke(new RecordingSink(), 0);
        Assert.Equal(count, sink.Count);
    }

    [Fact]
    public void Disarm_BeforeExpiry_NeverExpires()
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "timers" });
        RecordingSink sink = new();
        RecordingSink other = new();
        using EventTimer timer = new(loop, sink, 0);
        using EventTimer later = new(loop, other, 0);
        loop.Start();
        timer.Arm(50_000_000);
        timer.Disarm();
        later.Arm(60_000_000);
        Assert.True(other.WaitCall());
        Assert.Equal(0, sink.Count);
    }
}
