using KvmSharp.Abi;
using KvmSharp.Core.Events;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Core.Fabric;

/// <summary>
/// A line behind a resampling irqfd: to assert it is one write, the guest's end of interrupt lowers it, and then it rises again if it is
/// still asserted. To deassert it is no call at all: it stays up until that end, which costs at most an interrupt that nobody claims.
/// KVM injects it by a work queue, not in the caller. Any thread; two levels in a certain order are the caller's business.
/// </summary>
public sealed class ResampledLine : IIrqLine, IEventSink, IDisposable
{
    private static readonly TraceName s_traceName = TraceName.Of("irqfd");

    private readonly EventFd _trigger = new();
    private readonly EventFd _lowered = new();
    private readonly EventLoop _loop;
    private EventToken _token;
    private IDisposable? _attachment;
    private bool _asserted;

    private ResampledLine(uint gsi, EventLoop loop)
    {
        Gsi = gsi;
        _loop = loop;
    }

    /// <inheritdoc/>
    public uint Gsi { get; }

    /// <summary>Null where the host has no resampling irqfds. Throws <see cref="LinuxException"/>.</summary>
    /// <param name="loop">Hears of the ends of interrupt; may end before the line does.</param>
    public static ResampledLine? TryCreate(IInterruptFabric fabric, uint gsi, EventLoop loop)
    {
        var line = new ResampledLine(gsi, loop);
        try
        {
            line._attachment = fabric.TryAttachResampled(gsi, line._trigger, line._lowered);
            if (line._attachment is not null)
            {
                line._token = loop.Register(line._lowered, LibcConstants.EPOLLIN, line, 0);
                return line;
            }
        }
        catch (LinuxException)
        {
            line.Dispose();
            throw;
        }

        line.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public void SetLevel(bool asserted)
    {
        // The write comes after the store: the end of an interrupt that it brings finds the store.
        Volatile.Write(ref _asserted, asserted);
        if (asserted)
            Raise();
    }

    /// <summary>An end of interrupt. If a level that came since is not seen yet, whoever set it raises the line.</summary>
    public void OnReady(uint cookie, uint epollEvents)
    {
        _lowered.Drain();
        if (Volatile.Read(ref _asserted))
            Raise();
    }

    /// <summary>Lowers the line. Nobody sets it any more.</summary>
    public void Dispose()
    {
        _attachment?.Dispose();
        _loop.Unregister(_token);
        _trigger.Dispose();
        _lowered.Dispose();
    }

    private void Raise()
    {
        if (Tracer.IsOn)
            Tracer.Interrupt(s_traceName, Gsi, 1);
        _trigger.Signal();
    }
}
