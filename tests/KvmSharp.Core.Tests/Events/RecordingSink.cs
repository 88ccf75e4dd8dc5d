using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Core.Tests.Events;

/// <summary>Counts calls, remembers the last, and lets a test wait for a number of them.</summary>
internal sealed class RecordingSink : IEventSink
{
    private readonly SemaphoreSlim _calls = new(0);

    public EventFd? DrainOnReady { get; init; }

    public Action<uint>? Body { get; init; }

    public int Count { get; private set; }

    public uint LastCookie { get; private set; }

    public uint LastEvents { get; private set; }

    public Thread? LastThread { get; private set; }

    public void OnReady(uint cookie, uint epollEvents)
    {
        DrainOnReady?.Drain();
        Count++;
        LastCookie = cookie;
        LastEvents = epollEvents;
        LastThread = Thread.CurrentThread;
        Body?.Invoke(cookie);
        _calls.Release();
    }

    public bool WaitCall() => _calls.Wait(TimeSpan.FromSeconds(20));
}
