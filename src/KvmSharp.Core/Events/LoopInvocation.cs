namespace KvmSharp.Core.Events;

/// <summary>One call handed to a loop's thread while another thread waits for it. Runs once, whoever gets to it first.</summary>
internal sealed class LoopInvocation(IEventSink sink, uint cookie) : IEventSink
{
    private readonly object _gate = new();
    private bool _taken;
    private bool _done;

    /// <summary>Waits a while; false means: look whether the loop is still alive.</summary>
    public bool WaitDone()
    {
        lock (_gate)
            return _done || (Monitor.Wait(_gate, 20) && _done);
    }

    public void OnReady(uint ignoredCookie, uint epollEvents)
    {
        lock (_gate)
        {
            if (_taken)
                return;
            _taken = true;
        }

        try
        {
            sink.OnReady(cookie, 0);
        }
        finally
        {
            lock (_gate)
            {
                _done = true;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
