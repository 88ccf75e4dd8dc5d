using System.Text;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Events;

namespace KvmSharp.Serve.Control;

/// <summary>One user of the control socket. A line that is too long, or an answer that is not read, ends the connection. Control thread.</summary>
internal sealed unsafe class ControlClient : IEventSink, IDisposable
{
    private const int MaxLineBytes = 16 << 10;

    private readonly FileDescriptor _socket;
    private readonly EventLoop _control;
    private readonly ControlCommands _commands;
    private readonly Action<ControlClient> _left;
    private readonly byte[] _line = new byte[MaxLineBytes];
    private readonly EventToken _token;
    private int _have;
    private bool _disposed;

    public ControlClient(FileDescriptor socket, EventLoop control, ControlCommands commands, Action<ControlClient> left)
    {
        _socket = socket;
        _control = control;
        _commands = commands;
        _left = left;
        _token = control.Register(socket, LibcConstants.EPOLLIN | LibcConstants.EPOLLRDHUP, this, 0);
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _control.Unregister(_token);
        _socket.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_disposed)
            return;
        nint got;
        fixed (byte* at = _line)
            got = Libc.read(_socket.Value, at + _have, (nuint)(MaxLineBytes - _have));
        if (got > 0)
            _have += (int)got;
        if (got <= 0 || !TryObey() || _have == MaxLineBytes)
        {
            Dispose();
            _left(this);
        }
    }

    /// <summary>All lines that are there. False: an answer is not read.</summary>
    private bool TryObey()
    {
        int start = 0;
        for (int end; (end = Array.IndexOf(_line, (byte)'\n', start, _have - start)) >= 0; start = end + 1)
        {
            byte[] answer = Encoding.UTF8.GetBytes(_commands.Execute(_line.AsMemory(start, end - start)) + "\n");
            fixed (byte* bytes = answer)
            {
                if (Libc.write(_socket.Value, bytes, (nuint)answer.Length) != answer.Length)
                    return false;
            }
        }

        _line.AsSpan(start, _have - start).CopyTo(_line);
        _have -= start;
        return true;
    }
}
