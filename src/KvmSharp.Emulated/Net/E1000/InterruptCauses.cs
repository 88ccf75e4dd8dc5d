using System.Diagnostics;
using KvmSharp.Core.Events;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// ICR, IMS and ITR (manual §13.4.17-§13.4.22): causes add up until the driver reads them, those that are not masked assert the pin,
/// and after an assertion the next waits until the throttling interval is over. Thread-safe; no allocation. The pin follows ICR at once;
/// behind a resampling irqfd its line does so at the end of the interrupt.
/// </summary>
internal sealed class InterruptCauses : IEventSink, IDisposable
{
    /// <summary>ITR counts in units of 256 ns.</summary>
    private const long ThrottleUnitNs = 256;

    private readonly Func<IIrqLine?> _pin;
    private readonly EventTimer _timer;
    private readonly Lock _sync = new();
    private uint _causes;
    private uint _mask;
    private long _intervalNs;
    private long _quietUntilNs;
    private bool _asserted;
    private bool _timerArmed;

    /// <param name="pin">The function's pin, null before it is on a bus.</param>
    public InterruptCauses(EventLoop loop, Func<IIrqLine?> pin)
    {
        _pin = pin;
        _timer = new EventTimer(loop, this, 0);
    }

    /// <summary>IMS: causes that may interrupt.</summary>
    public uint Mask => Volatile.Read(ref _mask);

    /// <summary>ITR changed; 0 does not throttle.</summary>
    public void SetInterval(uint units)
    {
        lock (_sync)
        {
            _intervalNs = units * ThrottleUnitNs;
            _quietUntilNs = Math.Min(_quietUntilNs, NowNs() + _intervalNs);
        }

        Update();
    }

    /// <summary>ICS, or something happened.</summary>
    public void Raise(uint causes)
    {
        Interlocked.Or(ref _causes, causes);
        if ((Volatile.Read(ref _mask) & causes) != 0)
            Update();
    }

    /// <summary>A read of ICR takes all causes and with them the pin's level.</summary>
    public uint Take()
    {
        uint causes = Interlocked.Exchange(ref _causes, 0);
        Update();
        return causes;
    }

    /// <summary>A write of ICR clears the causes given.</summary>
    public void Clear(uint causes)
    {
        Interlocked.And(ref _causes, ~causes);
        Update();
    }

    /// <summary>A write of IMS.</summary>
    public void Unmask(uint causes)
    {
        Interlocked.Or(ref _mask, causes);
        Update();
    }

    /// <summary>A write of IMC.</summary>
    public void MaskOut(uint causes)
    {
        Interlocked.And(ref _mask, ~causes);
        Update();
    }

    public void Reset()
    {
        lock (_sync)
        {
            Volatile.Write(ref _mask, 0);
            Volatile.Write(ref _causes, 0);
            _intervalNs = 0;
            _quietUntilNs = 0;
        }

        Update();
    }

    public void Dispose() => _timer.Dispose();

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        lock (_sync)
            _timerArmed = false;
        Update();
    }

    private void Update()
    {
        // The lock keeps the order of levels the same as that of what they follow from.
        lock (_sync)
        {
            bool wanted = (Volatile.Read(ref _causes) & Volatile.Read(ref _mask)) != 0;
            if (wanted == _asserted)
                return;
            if (wanted && _intervalNs > 0)
            {
                long now = NowNs();
                if (now < _quietUntilNs)
                {
                    if (!_timerArmed)
                        _timer.Arm(_quietUntilNs - now);
                    _timerArmed = true;
                    return;
                }

                _quietUntilNs = now + _intervalNs;
            }

            _asserted = wanted;
            _pin()?.SetLevel(wanted);
        }
    }

    private static long NowNs() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
}
