using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>
/// Standard input and output. On a terminal input is raw and Ctrl-A is the escape key; otherwise bytes pass as they are and the end of
/// input only ends input. Standard output that closes under us loses output, nothing else.
/// </summary>
public sealed class StdioBackend : ICharBackend
{
    private readonly RawTerminal? _terminal;
    private readonly CharPump _pump;
    private readonly Action<ConsoleCommand> _onCommand;
    private readonly PosixSignalRegistration? _onResize;
    private readonly Lock _resizeGate = new();
    private int _size;
    private bool _disposed;

    /// <param name="onCommand">Called on the backend's thread for <see cref="ConsoleCommand.Quit"/> and <see cref="ConsoleCommand.PowerButton"/>; must return at once.</param>
    public StdioBackend(Action<ConsoleCommand> onCommand)
    {
        _onCommand = onCommand;
        FileDescriptor? input = TryDuplicate(0);
        if (input is not null)
            _terminal = RawTerminal.TryEnter(input);
        if (_terminal is null && input is not null && TerminalMode.TryGet(input.Value, out _))
        {
            // A background job that read its terminal would be stopped.
            input.Dispose();
            input = null;
        }

        CharOutput? output = Libc.fcntl(1, LibcConstants.F_GETFL, 0) >= 0 ? CharOutput.ForShared(1) : null;
        _pump = new CharPump("char-stdio", input, output, filter: _terminal is not null ? new EscapeFilter(OnCommand) : null);
        ReadSize();
        if (_size != 0)
            _onResize = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => OnResize());
    }

    /// <summary>True while input comes from a terminal in raw mode.</summary>
    public bool IsTerminal => _terminal is not null;

    /// <summary>Of the terminal on standard output, else on standard input; 0 by 0 without one.</summary>
    public TerminalSize Size
    {
        get
        {
            int size = Volatile.Read(ref _size);
            return new TerminalSize((ushort)(size >> 16), (ushort)size);
        }
    }

    /// <summary>Bytes of output that nobody took.</summary>
    public long DroppedBytes => _pump.DroppedBytes;

    public void Start(ICharFrontend frontend) => _pump.Start(frontend);

    public void Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    public int TryWrite(ReadOnlySpan<byte> data) => _pump.TryWrite(data);

    public void OnFrontendReady() => _pump.OnFrontendReady();

    public void Dispose()
    {
        _onResize?.Dispose();
        lock (_resizeGate)
            _disposed = true;
        _pump.Dispose();
        _terminal?.Dispose();
    }

    private void OnCommand(ConsoleCommand command)
    {
        if (command == ConsoleCommand.Help)
        {
            _pump.Write("\r\nCtrl-A h  this help\r\nCtrl-A x  quit\r\nCtrl-A p  press the power button\r\nCtrl-A Ctrl-A (or a)  send Ctrl-A\r\n"u8);
            return;
        }

        _onCommand(command);
    }

    private void OnResize()
    {
        // A signal handler may still run when its registration is gone.
        lock (_resizeGate)
        {
            if (_disposed)
                return;
            ReadSize();
            _pump.Raise(CharEvent.Resized);
        }
    }

    private void ReadSize()
    {
        if (TerminalMode.TryGetSize(1, out TerminalSize size) || TerminalMode.TryGetSize(0, out size))
            Volatile.Write(ref _size, size.Columns << 16 | size.Rows);
    }

    private static FileDescriptor? TryDuplicate(int fd)
    {
        int copy = Libc.fcntl(fd, LibcConstants.F_DUPFD_CLOEXEC, 3);
        return copy >= 0 ? new FileDescriptor(copy) : null;
    }
}
