using System.Collections.Concurrent;
using KvmSharp.Core;
using KvmSharp.Virtio;

namespace KvmSharp.TestKit.Virtio;

/// <summary>Counts a device's interrupts and keeps its faults, and lets a test wait for them.</summary>
public sealed class FakeVirtioInterrupt : IVirtioInterrupt, IVirtioFaultSink
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly ConcurrentDictionary<int, SemaphoreSlim> _queues = new();
    private readonly SemaphoreSlim _faulted = new(0);

    public ConcurrentQueue<string> Faults { get; } = new();

    public int ConfigSignals { get; private set; }

    public void SignalQueue(int queue) => Queue(queue).Release();

    public void SignalConfig() => ConfigSignals++;

    /// <summary>Stands for the queue's vector; null: there is none.</summary>
    public EventFd? QueueEventFd
    {
        get;
        set
        {
            field = value;
            QueueEventFdsChanged?.Invoke();
        }
    }

    public event Action? QueueEventFdsChanged;

    public EventFd? GetQueueEventFd(int queue) => QueueEventFd;

    public void NeedsReset(string reason)
    {
        Faults.Enqueue(reason);
        _faulted.Release();
    }

    /// <summary>False when no interrupt comes for a long time.</summary>
    public bool WaitForQueue(int queue) => Queue(queue).Wait(Patience);

    public bool WaitForFault() => _faulted.Wait(Patience);

    private SemaphoreSlim Queue(int queue) => _queues.GetOrAdd(queue, static _ => new SemaphoreSlim(0));
}
