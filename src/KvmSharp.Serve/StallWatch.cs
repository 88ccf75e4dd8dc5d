using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve;

/// <summary>
/// Looks now and then whether an I/O thread stands still in a system call, and interrupts that: the eventfds of a front end, non-blocking when they came, are
/// made blocking by it at any moment. Costs the I/O threads nothing. Disposing of it ends its thread.
/// </summary>
internal sealed class StallWatch : IDisposable
{
    /// <summary>A thread is held up for twice that at most.</summary>
    private const int IntervalMs = 250;

    private readonly ManualResetEvent _stop = new(initialState: false);
    private readonly Thread _thread;

    public StallWatch(IReadOnlyList<EventLoop> loops)
    {
        _thread = HostThread.Create("serve-watch", ThreadRole.Runtime, () =>
        {
            long[] turns = new long[loops.Count];
            while (!_stop.WaitOne(IntervalMs))
            {
                for (int i = 0; i < turns.Length; i++)
                {
                    long now = loops[i].Turns;
                    if (now == turns[i] && !loops[i].IsSleeping)
                        loops[i].Interrupt();
                    turns[i] = now;
                }
            }
        });
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }
}
