using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Logging;
using KvmSharp.Virtio;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Serve.Session;

/// <summary>
/// How a device reaches the driver behind a front end: call and error eventfds, which the front end changes at any time, and the word that its
/// configuration has changed. Devices signal on the I/O threads; the control thread changes the lines.
/// </summary>
internal sealed class FrontEndLines(int vrings, IReadOnlyList<EventLoop> io, ILogger logger, Action configChanged) : IVirtioInterrupt, IVirtioFaultSink
{
    private readonly EventFd?[] _calls = new EventFd?[vrings];
    private readonly EventFd?[] _errors = new EventFd?[vrings];
    private readonly LogGate _gate = new();
    private int _needsReset;

    /// <inheritdoc/>
    public event Action? QueueEventFdsChanged
    {
        add { }
        remove { }
    }

    /// <summary>A driver broke a ring, or a queue could not be served, since <see cref="ClearFault"/>.</summary>
    public bool IsFaulty => Volatile.Read(ref _needsReset) != 0;

    public void SignalQueue(int queue) => Volatile.Read(ref _calls[queue])?.Signal();

    public void SignalConfig() => configChanged();

    public EventFd? GetQueueEventFd(int queue) => null;

    public void NeedsReset(string reason)
    {
        Volatile.Write(ref _needsReset, 1);
        for (int i = 0; i < _errors.Length; i++)
            Volatile.Read(ref _errors[i])?.Signal();
        if (_gate.TryPass(out _))
            logger.LogWarning("the driver must reset the device: {Reason}", reason);
    }

    public void ClearFault() => Volatile.Write(ref _needsReset, 0);

    /// <summary>The queue's interrupt from now on; null: none. What the old one may have missed is said on the new one: an interrupt too many does no harm.</summary>
    public void SetCall(int queue, EventFd? call)
    {
        Exchange(_calls, queue, call);
        call?.Signal();
    }

    public void SetError(int queue, EventFd? error) => Exchange(_errors, queue, error);

    /// <summary>All lines are cut.</summary>
    public void Clear()
    {
        for (int i = 0; i < vrings; i++)
        {
            Exchange(_calls, i, null);
            Exchange(_errors, i, null);
        }
    }

    private void Exchange(EventFd?[] lines, int queue, EventFd? line)
    {
        if (Interlocked.Exchange(ref lines[queue], line) is not { } old)
            return;
        // An I/O thread may be about to write to the descriptor, whose number must not be another's by then.
        foreach (EventLoop loop in io)
            loop.Settle();
        old.Dispose();
    }
}
