using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Chars;
using static KvmSharp.Abi.Virtio.VirtioConsole;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// Makes the control messages about one port (virtio 1.2 §5.3.6.2). What the driver has to hear is kept as bits and put into words when
/// there is a buffer for it, so that neither the host's changes nor a driver's questions pile up. Loop thread.
/// </summary>
internal sealed class PortAnnouncer(ConsolePortOptions options)
{
    /// <summary>Bytes a port's name may have.</summary>
    public const int MaxNameBytes = 64;

    /// <summary>The longest message.</summary>
    public const int MaxMessageBytes = 8 + MaxNameBytes;

    private readonly byte[] _name = Encoding.UTF8.GetBytes(options.PortName);
    private PortNews _news;
    private bool _removed;
    private bool _toldAdded;
    private bool _ready;
    private bool _toldOpen;
    private bool _hasLeft;

    /// <summary>The driver can do multiport: it gets to know the port.</summary>
    public void OnDeviceReady()
    {
        if (!_removed)
            _news |= PortNews.Add;
    }

    /// <summary>The driver has set the port up, or could not.</summary>
    public void OnPortReady(bool ready)
    {
        _ready = ready && !_removed;
        _toldOpen = false;
        _hasLeft = false;
        _news &= PortNews.Add | PortNews.Remove;
        if (!_ready)
            return;
        _news |= PortNews.Open;
        _news |= options.IsConsole ? PortNews.Console | PortNews.Resize : PortNews.None;
        _news |= _name.Length > 0 ? PortNews.Name : PortNews.None;
    }

    public void OnHostEvent(CharEvent happened)
    {
        if (!_ready)
            return;
        _hasLeft |= (happened & CharEvent.Disconnected) != 0;
        if ((happened & (CharEvent.Connected | CharEvent.Disconnected)) != 0)
            _news |= PortNews.Open;
        if (options.IsConsole && (happened & CharEvent.Resized) != 0)
            _news |= PortNews.Resize;
    }

    public void OnRemoved()
    {
        _removed = true;
        _ready = false;
        _news = _toldAdded ? PortNews.Remove : PortNews.None;
    }

    public void Reset()
    {
        _news = PortNews.None;
        _toldAdded = false;
        _ready = false;
        _toldOpen = false;
        _hasLeft = false;
    }

    /// <summary>The next thing to say; none if there is nothing.</summary>
    public PortNews Peek()
    {
        // What would tell the driver nothing new is not said.
        if ((_news & PortNews.Open) != 0 && options.Backend.IsConnected == _toldOpen && !(_toldOpen && _hasLeft))
            _news &= ~PortNews.Open;
        if (options.Backend.Size == default)
            _news &= ~PortNews.Resize;
        return (PortNews)((int)_news & -(int)_news);
    }

    /// <summary>Says what <see cref="Peek"/> gave: writes the message and returns its length.</summary>
    public int Take(PortNews what, Span<byte> message)
    {
        _news &= ~what;
        switch (what)
        {
            case PortNews.Add:
                _toldAdded = true;
                return Write(message, VIRTIO_CONSOLE_PORT_ADD, 1);
            case PortNews.Remove:
                _toldAdded = false;
                return Write(message, VIRTIO_CONSOLE_PORT_REMOVE, 1);
            case PortNews.Console:
                return Write(message, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
            case PortNews.Name:
                _name.CopyTo(message[8..]);
                return Write(message, VIRTIO_CONSOLE_PORT_NAME, 1) + _name.Length;
            case PortNews.Resize:
                TerminalSize size = options.Backend.Size;
                MemoryMarshal.Write(message[8..], size.Columns);
                MemoryMarshal.Write(message[10..], size.Rows);
                return Write(message, VIRTIO_CONSOLE_RESIZE, 0) + 4;
            default:
                return WriteOpen(message);
        }
    }

    /// <summary>Who left and came back, or another in his place, has first left.</summary>
    private int WriteOpen(Span<byte> message)
    {
        _toldOpen = !_toldOpen;
        if (!_toldOpen)
        {
            _hasLeft = false;
            _news |= PortNews.Open;
        }

        return Write(message, VIRTIO_CONSOLE_PORT_OPEN, (ushort)(_toldOpen ? 1 : 0));
    }

    private int Write(Span<byte> message, ushort what, ushort value)
    {
        MemoryMarshal.Write(message, new virtio_console_control { id = options.Id, @event = what, value = value });
        return 8;
    }
}
