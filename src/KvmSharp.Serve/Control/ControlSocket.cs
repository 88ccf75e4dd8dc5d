using KvmSharp.Abi;
using KvmSharp.Backends;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve.Control;

/// <summary>
/// Where a user lists, adds and removes ports while they are served: a unix socket that takes a JSON object a line and answers with one a line
/// (see <see cref="ControlCommands"/>). Whoever may open the socket may do everything. Lives on the control thread but for construction and
/// <see cref="Dispose"/>.
/// </summary>
public sealed class ControlSocket : IEventSink, IDisposable
{
    private const uint AcceptCookie = 0, OpenCookie = 1, CloseCookie = 2;

    /// <summary>Most users at a time; who comes later waits.</summary>
    private const int MaxClients = 16;

    private readonly UnixListener _listener;
    private readonly EventLoop _control;
    private readonly ControlCommands _commands;
    private readonly List<ControlClient> _clients = [];
    private EventToken _accept;
    private bool _closed;

    /// <summary>Throws <see cref="BackendException"/> if the path is taken.</summary>
    public ControlSocket(string path, ServeHost host, PortFactory ports)
    {
        _control = host.Control;
        _commands = new ControlCommands(host, ports);
        _listener = new UnixListener(path);
        _control.Invoke(this, OpenCookie);
    }

    /// <summary>Idempotent.</summary>
    public void Dispose() => _control.Invoke(this, CloseCookie);

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case CloseCookie:
                Close();
                break;
            case OpenCookie:
                Listen();
                break;
            default:
                Accept();
                break;
        }
    }

    private void Listen() => _accept = _control.Register(_listener.File, LibcConstants.EPOLLIN, this, AcceptCookie);

    private void Accept()
    {
        if (_closed || _listener.TryAccept() is not { } socket)
            return;
        _clients.Add(new ControlClient(socket, _control, _commands, OnLeft));
        if (_clients.Count == MaxClients)
            _control.Unregister(_accept);
    }

    private void OnLeft(ControlClient client)
    {
        if (_clients.Count == MaxClients && !_closed)
            Listen();
        _clients.Remove(client);
    }

    private void Close()
    {
        if (_closed)
            return;
        _closed = true;
        _control.Unregister(_accept);
        foreach (ControlClient client in _clients)
            client.Dispose();
        _listener.Dispose();
    }
}
