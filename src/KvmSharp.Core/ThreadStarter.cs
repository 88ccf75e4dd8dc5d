namespace KvmSharp.Core;

/// <summary>
/// A thread that starts threads for others: in a confined program those that serve a guest may not make any. There is one for the process, as there is
/// one sandbox, from <see cref="Begin"/> on; before, everybody starts their own. It lives as long as the process.
/// </summary>
public sealed class ThreadStarter
{
    private static ThreadStarter? s_instance;

    private readonly object _gate = new();
    private Thread? _wanted;
    private Exception? _error;

    /// <param name="first">What its thread does before; it must not throw.</param>
    public ThreadStarter(Action first)
    {
        HostThread.Create("thread-starter", ThreadRole.Control, () =>
        {
            first();
            Serve();
        }, 256 * 1024).Start();
    }

    /// <summary>Has threads started by this one from now on, whose rights they have before they take their role. Once in a process.</summary>
    public void Begin() => Volatile.Write(ref s_instance, this);

    /// <summary>Starts the thread and returns when it runs; throws as <see cref="Thread.Start()"/> does. Any thread.</summary>
    public static void Start(Thread thread)
    {
        if (Volatile.Read(ref s_instance) is { } starter)
            starter.Ask(thread);
        else
            thread.Start();
    }

    private void Ask(Thread thread)
    {
        lock (_gate)
        {
            while (_wanted is not null)
                Monitor.Wait(_gate);
            _wanted = thread;
            Monitor.PulseAll(_gate);
            while (_wanted == thread)
                Monitor.Wait(_gate);
            Exception? error = _error;
            _error = null;
            if (error is not null)
                throw error;
        }
    }

    private void Serve()
    {
        lock (_gate)
        {
            while (true)
            {
                while (_wanted is null)
                    Monitor.Wait(_gate);
                try
                {
                    _wanted.Start();
                }
                catch (Exception e) when (e is OutOfMemoryException or ThreadStateException)
                {
                    _error = e;
                }

                _wanted = null;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
