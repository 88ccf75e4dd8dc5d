using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

/// <summary>Who had the first so many turns of a loop.</summary>
internal sealed class Turns(int count)
{
    private readonly ManualResetEventSlim _all = new();
    private int _next;

    public int[] Taken { get; } = new int[count];

    /// <summary>Loop thread.</summary>
    public void Take(int who)
    {
        if (_next == Taken.Length)
            return;
        Taken[_next++] = who;
        if (_next == Taken.Length)
            _all.Set();
    }

    public bool WaitAll() => _all.Wait(TimeSpan.FromSeconds(20));
}

/// <summary>Always finds work; signals, with each of its turns, what somebody else waits for.</summary>
internal sealed class TurnPoll(Turns turns, int number, EventFd? signalled) : IPollSink
{
    public void BeginPoll()
    {
    }

    public bool Poll()
    {
        turns.Take(number);
        signalled?.Signal();
        return true;
    }

    public void EndPoll()
    {
    }
}

/// <summary>Never done with its work.</summary>
internal sealed class TurnPost(Turns turns, EventLoop loop) : IEventSink
{
    public void OnReady(uint cookie, uint epollEvents)
    {
        turns.Take((int)cookie);
        loop.Post(this, cookie);
    }
}
