using System.Diagnostics;
using KvmSharp.Core;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// A one-shot timer with a thread of its own, which exists only from the first <see cref="Arm"/> on. The callback runs on that
/// thread without any lock of this class held, and may re-arm. Safe on any thread.
/// </summary>
internal sealed class DeviceTimer(string name, Action callback) : IDisposable
{
    private const long Never = long.MaxValue;

    private readonly object _sync = new();
    private Thread? _thread;
    private long _deadline = Never;
    private bool _stopping;

    /// <summary>True once a thread exists.</summary>
    internal bool IsStarted
    {
        get
        {
            lock (_sync)
                return _thread is not null;
        }
    }

    /// <summary>Calls back once, <paramref name="delay"/> from now; replaces an earlier deadline.</summary>
    internal void Arm(TimeSpan delay)
    {
        long ticks = (long)Math.Min(Math.Max(delay.TotalSeconds, 0) * Stopwatch.Frequency, long.MaxValue / 4.0);
        lock (_sync)
        {
            if (_stopping)
                return;
            _deadline = Stopwatch.GetTimestamp() + ticks;
            if (_thread is null)
            {
                _thread = HostThread.Create(name, ThreadRole.Runtime, Run);
                ThreadStarter.Start(_thread);
            }
            else
            {
                Monitor.Pulse(_sync);
            }
        }
    }

    /// <summary>No callback will start any more until armed again; one may be running.</summary>
    internal void Disarm()
    {
        lock (_sync)
            _deadline = Never;
    }

    /// <summary>Ends the thread and waits for it. Not while holding a lock that the callback takes.</summary>
    public void Dispose()
    {
        Thread? thread;
        lock (_sync)
        {
            _stopping = true;
            _deadline = Never;
            thread = _thread;
            Monitor.Pulse(_sync);
        }

        thread?.Join();
    }

    private void Run()
    {
        while (WaitForDeadline())
            callback();
    }

    private bool WaitForDeadline()
    {
        lock (_sync)
        {
            while (!_stopping)
            {
                if (_deadline == Never)
                {
                    Monitor.Wait(_sync);
                    continue;
                }

                long remaining = _deadline - Stopwatch.GetTimestamp();
                if (remaining <= 0)
                {
                    _deadline = Never;
                    return true;
                }

                // Rounded up: waking early would only mean another round.
                long milliseconds = Math.Min((remaining * 1000 / Stopwatch.Frequency) + 1, int.MaxValue);
                Monitor.Wait(_sync, (int)milliseconds);
            }

            return false;
        }
    }
}
