using KvmSharp.Backends;
using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve.Control;

/// <summary>
/// Where a user lists, adds and removes ports while they are served: a unix socket that takes a JSON object a line and answers with one a line
/// (see <see cref="ControlCommands"/>). Whoever may open the socket may do everything. Lives on the control thread but for construction and
/// <see cref="Dispose"/>.
/// </summary>
public sealed class ControlSocket : IEventSink, IDisposable
{
    /// <summary>Most users at a time; who comes later waits.</summary>
    private const int MaxClients = 16;

    private readonly EventLoop _control;
    private readonly ControlCommands _commands;
    private readonly SocketAcceptor _acceptor;
    private readonly List<ControlClient> _clients = [];
    private bool _closed;

    /// <summary>Throws <see cref="BackendException"/> if the path is taken.</summary>
    public ControlSocket(string path, ServeHost host, PortFactory ports)
    {
        _control = host.Control;
        _commands = new ControlCommands(host, ports);
        _acceptor = new SocketAcceptor(new UnixListener(path), _control);
        _acceptor.Start(OnConnected);
    }

    /// <summary>Idempotent.</summary>
    public void Dispose() => _control.Invoke(this, 0);

    /// <summary>Closes it.</summary>
    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_closed)
            return;
        _closed = true;
        _acceptor.Dispose();
        foreach (ControlClient client in _clients)
            client.Dispose();
    }

    private void OnConnected(FileDescriptor socket)
    {
        _clients.Add(new ControlClient(socket, _control, _commands, OnLeft));
        if (_clients.Count == MaxClients)
            _acceptor.Close();
    }

    private void OnLeft(ControlClient client)
    {
        _clients.Remove(client);
        _acceptor.Open();
    }
}
