using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Logging;
using KvmSharp.Virtio;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Serve.Session;

/// <summary>
/// How a device reaches the driver behind a front end: call and error eventfds, which the front end changes at any time, and the word that its
/// configuration has changed. Only I/O threads write to the eventfds: the front end may make one block, and <see cref="StallWatch"/> frees those threads only.
/// A front end that does so is cut off. The control thread changes the lines.
/// </summary>
internal sealed class FrontEndLines : IVirtioInterrupt, IVirtioFaultSink, IEventSink
{
    private readonly EventFd?[] _calls;
    private readonly EventFd?[] _errors;
    private readonly IReadOnlyList<EventLoop> _io;
    private readonly ILogger _logger;
    private readonly Action _configChanged;
    private readonly Action _held;
    private readonly LogGate _gate = new();
    private int _needsReset;
    private int _cut;

    /// <param name="configChanged">Any thread.</param>
    /// <param name="held">The front end has held an I/O thread up. On that thread.</param>
    public FrontEndLines(int vrings, IReadOnlyList<EventLoop> io, ILogger logger, Action configChanged, Action held)
    {
        _calls = new EventFd?[vrings];
        _errors = new EventFd?[vrings];
        _io = io;
        _logger = logger;
        _configChanged = configChanged;
        _held = held;
    }

    /// <inheritdoc/>
    public event Action? QueueEventFdsChanged
    {
        add { }
        remove { }
    }

    /// <summary>A driver broke a ring, or a queue could not be served, since <see cref="ClearFault"/>.</summary>
    public bool IsFaulty => Volatile.Read(ref _needsReset) != 0;

    private uint ErrorCookie => (uint)_calls.Length;

    /// <summary>I/O threads.</summary>
    public void SignalQueue(int queue) => Signal(_calls, queue);

    public void SignalConfig() => _configChanged();

    public EventFd? GetQueueEventFd(int queue) => null;

    public void NeedsReset(string reason)
    {
        Volatile.Write(ref _needsReset, 1);
        _io[0].Post(this, ErrorCookie);
        if (_gate.TryPass(out _))
            _logger.LogWarning("the driver must reset the device: {Reason}", reason);
    }

    public void ClearFault() => Volatile.Write(ref _needsReset, 0);

    /// <summary>The queue's interrupt from now on; null: none. What the old one may have missed is said on the new one: an interrupt too many does no harm.</summary>
    public void SetCall(int queue, EventFd? call)
    {
        Exchange(_calls, queue, call);
        if (call is not null)
            _io[0].Post(this, (uint)queue);
    }

    public void SetError(int queue, EventFd? error) => Exchange(_errors, queue, error);

    /// <summary>All lines are cut.</summary>
    public void Clear()
    {
        for (int i = 0; i < _calls.Length; i++)
        {
            Exchange(_calls, i, null);
            Exchange(_errors, i, null);
        }
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (cookie < ErrorCookie)
            Signal(_calls, (int)cookie);
        for (int i = 0; cookie == ErrorCookie && i < _errors.Length; i++)
            Signal(_errors, i);
    }

    private void Signal(EventFd?[] lines, int queue)
    {
        if (Volatile.Read(ref lines[queue]) is { } line && Volatile.Read(ref _cut) == 0 && !line.TrySignal() && Interlocked.Exchange(ref _cut, 1) == 0)
            _held();
    }

    private void Exchange(EventFd?[] lines, int queue, EventFd? line)
    {
        if (Interlocked.Exchange(ref lines[queue], line) is not { } old)
            return;
        // An I/O thread may be about to write to the descriptor, whose number must not be another's by then.
        foreach (EventLoop loop in _io)
            loop.Settle();
        old.Dispose();
    }
}
