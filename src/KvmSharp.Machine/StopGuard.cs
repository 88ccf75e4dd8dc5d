using KvmSharp.Core;

namespace KvmSharp.Machine;

/// <summary>
/// Watches over the end of a machine, which waits for threads: one that never comes back (in the kernel, in a device that waits for the host) must not
/// keep the program for ever. Reports once, on a thread of its own, unless disposed within the limit. Any thread.
/// </summary>
internal sealed class StopGuard : IDisposable
{
    private readonly object _gate = new();
    private readonly TimeSpan _limit;
    private readonly Action _onStuck;
    private bool _done;

    public StopGuard(TimeSpan limit, Action onStuck)
    {
        _limit = limit;
        _onStuck = onStuck;
        ThreadStarter.Start(HostThread.Create("stop-guard", ThreadRole.Control, Watch, 256 * 1024));
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _done = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Watch()
    {
        long end = Environment.TickCount64 + (long)_limit.TotalMilliseconds;
        lock (_gate)
        {
            for (long left = end - Environment.TickCount64; !_done && left > 0; left = end - Environment.TickCount64)
                Monitor.Wait(_gate, (int)Math.Min(left, int.MaxValue));
            if (_done)
                return;
        }

        _onStuck();
    }
}
