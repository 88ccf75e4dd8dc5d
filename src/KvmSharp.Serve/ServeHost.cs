using KvmSharp.Backends;
using KvmSharp.Core.Events;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Serve;

/// <summary>
/// A process's ports and the threads that serve them: one for sockets and messages, a fixed set for queues. Ports are added and removed while it
/// runs. Thread-safe. Disposing of it drains and closes everything.
/// </summary>
public sealed class ServeHost : IDisposable
{
    /// <summary>How long an I/O thread that shall never sleep looks for work before it asks again, in nanoseconds.</summary>
    private const long PollForeverNs = long.MaxValue;

    private const string ConnectPrefix = "connect:";

    private readonly Lock _sync = new();
    private readonly SortedDictionary<string, (ServePort Port, int FirstThread)> _ports = new(StringComparer.Ordinal);
    private readonly ILoggerFactory _loggers;
    private readonly EventLoop _control;
    private readonly EventLoop[] _io;
    private readonly StallWatch _watch;

    // How many ports begin with each I/O thread.
    private readonly int[] _portsOf;

    /// <param name="onFailure">A thread has died of a bug; nothing is served any more. Called on that thread.</param>
    public ServeHost(ServeOptions options, ILoggerFactory loggers, Action<Exception> onFailure)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.IoThreads, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.IoThreads, ServeOptions.MaxIoThreads, nameof(options));
        _loggers = loggers;
        _control = new EventLoop(new EventLoopOptions { Name = "serve-control", PollMaxNs = 0, OnFailure = onFailure });
        _io = new EventLoop[options.IoThreads];
        _portsOf = new int[options.IoThreads];
        for (int i = 0; i < _io.Length; i++)
        {
            EventLoopOptions io = new() { Name = $"iothread {i}", Interruptible = true, OnFailure = onFailure };
            _io[i] = new EventLoop(options.Poll ? io with { PollMaxNs = PollForeverNs } : io);
            _io[i].Start();
        }

        _watch = new StallWatch(_io, onFailure);
        _control.Start();
    }

    /// <summary>The thread of sockets and messages, for control sockets.</summary>
    public EventLoop Control => _control;

    internal IReadOnlyList<EventLoop> IoThreads => _io;

    /// <summary>The ports as they are now, by name.</summary>
    public IReadOnlyList<ServePort> Ports
    {
        get
        {
            lock (_sync)
                return [.. _ports.Values.Select(port => port.Port)];
        }
    }

    /// <summary>Null: there is none of that name.</summary>
    public ServePort? Find(string name)
    {
        lock (_sync)
            return _ports.GetValueOrDefault(name).Port;
    }

    /// <summary>
    /// Makes a device and waits for its front ends. Throws <see cref="BackendException"/> if the name or the socket is taken, and what
    /// <paramref name="create"/> throws; nothing is left behind then.
    /// </summary>
    /// <param name="socket">Where we listen; after <c>connect:</c>, where the front end does.</param>
    /// <param name="create">Gets the loops that the device's queues go to, in turn; the first is one with which the fewest ports begin.</param>
    public void Add(string name, string socket, Func<IReadOnlyList<EventLoop>, IServedDevice> create)
    {
        lock (_sync)
        {
            if (_ports.ContainsKey(name))
                throw new BackendException($"there is a port {name} already");
            // Devices of one queue are spread too, also when others have gone.
            int first = Array.IndexOf(_portsOf, _portsOf.Min());
            EventLoop[] loops = [.. _io[first..], .. _io[..first]];
            IFrontEndSource source = Source(socket);
            try
            {
                _ports.Add(name, (new ServePort(name, source, create(loops), _control, _io, _loggers.CreateLogger(name)), first));
            }
            catch
            {
                source.Dispose();
                throw;
            }

            _portsOf[first]++;
        }
    }

    /// <summary>Hangs up on the port's front end, if it has one, and closes the device. False: there is no such port. Not on a thread of this host but the control thread.</summary>
    public bool Remove(string name)
    {
        (ServePort Port, int FirstThread) removed;
        lock (_sync)
        {
            if (!_ports.Remove(name, out removed))
                return false;
            _portsOf[removed.FirstThread]--;
        }

        removed.Port.Dispose();
        return true;
    }

    public void Dispose()
    {
        foreach (ServePort port in Ports)
            Remove(port.Name);
        _control.Dispose();
        _watch.Dispose();
        foreach (EventLoop loop in _io)
            loop.Dispose();
    }

    private IFrontEndSource Source(string socket) => socket.StartsWith(ConnectPrefix, StringComparison.Ordinal)
        ? new SocketCaller(socket[ConnectPrefix.Length..], _control)
        : new SocketAcceptor(new UnixListener(socket), _control);
}
