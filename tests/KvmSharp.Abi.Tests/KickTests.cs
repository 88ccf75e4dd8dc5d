using System.Diagnostics;

namespace KvmSharp.Abi.Tests;

public sealed unsafe class KickTests
{
    [Fact]
    public void KickInit_Twice_ReturnsTheSameSignalAboveTheRuntimesOwn()
    {
        int first = NativeShims.kvmsharp_kick_init();
        int second = NativeShims.kvmsharp_kick_init();

        // glibc and musl keep the kernel's first two or three real-time signals, .NET takes the next one.
        Assert.InRange(first, 36, 64);
        Assert.Equal(first, second);
    }

    [Fact]
    public void Kick_ThreadBlockedInPoll_ReturnsEintr()
    {
        Assert.True(NativeShims.kvmsharp_kick_init() > 0);
        int tid = 0;
        int result = 0;
        int error = 0;
        var thread = new Thread(() =>
        {
            Volatile.Write(ref tid, NativeShims.kvmsharp_kick_enter_thread());
            result = Libc.poll(null, 0, 60_000);
            error = System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
        }) { Name = "kick-test" };
        thread.Start();

        // A kick that lands before poll is lost here (KVM_RUN has immediate_exit for that), so it is repeated.
        var watch = Stopwatch.StartNew();
        while (!thread.Join(5) && watch.Elapsed < TimeSpan.FromSeconds(20))
        {
            if (Volatile.Read(ref tid) > 0)
            {
                _ = NativeShims.kvmsharp_kick(tid);
            }
        }

        Assert.True(thread.Join(0));
        Assert.Equal(-1, result);
        Assert.Equal(LibcConstants.EINTR, error);
    }

    [Fact]
    public void Kick_ThreadEnded_ReturnsNoSuchProcess()
    {
        // Without the handler a kick that still finds the thread would end this process.
        Assert.True(NativeShims.kvmsharp_kick_init() > 0);
        int tid = 0;
        var thread = new Thread(() => tid = NativeShims.kvmsharp_kick_enter_thread()) { Name = "kick-test" };
        thread.Start();
        thread.Join();

        // The kernel thread may outlive Join by a moment.
        int result = NativeShims.kvmsharp_kick(tid);
        for (int i = 0; i < 200 && result == 0; i++)
        {
            Thread.Sleep(5);
            result = NativeShims.kvmsharp_kick(tid);
        }

        Assert.Equal(-3, result);
    }
}
