using KvmSharp.Abi;

namespace KvmSharp.Core.Events;

public sealed partial class EventLoop
{
    private int _tid;
    private long _turns;
    private Action? _onWaking;

    /// <summary>Goes up whenever the loop has done something. A loop that polls and finds nothing stands still too.</summary>
    public long Turns => Volatile.Read(ref _turns) + PollHits;

    /// <summary>The loop waits for something to do. A hint.</summary>
    public bool IsSleeping => Volatile.Read(ref _sleeping) != 0;

    /// <summary>
    /// Makes <paramref name="call"/> the first thing that the loop's thread does each time it has slept; it must be short and never block. Of two sides one sees the other: the call sees
    /// what was written before a full fence, or <see cref="IsSleeping"/> was false after that fence. Null ends it, but for a call that is running. Any thread.
    /// </summary>
    public void CallOnWaking(Action? call) => Volatile.Write(ref _onWaking, call);

    /// <summary>
    /// Ends the system call that the loop's thread is in, if it blocks: it returns EINTR. Else nothing happens. Only for loops that are
    /// <see cref="EventLoopOptions.Interruptible"/>, between <see cref="Start"/> and <see cref="Stop"/>; any other thread.
    /// </summary>
    public void Interrupt()
    {
        int tid = Volatile.Read(ref _tid);
        if (tid != 0)
            _ = NativeShims.kvmsharp_kick(tid);
    }

    /// <summary>On the loop's thread, first.</summary>
    private void BecomeInterruptible()
    {
        int result = NativeShims.kvmsharp_kick_init();
        if (result >= 0)
            result = NativeShims.kvmsharp_kick_enter_thread();
        if (result < 0)
            throw new LinuxException($"make event loop {Name} interruptible", -result);
        Volatile.Write(ref _tid, result);
    }
}
