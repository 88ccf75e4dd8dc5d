using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>
/// A new pseudo-terminal in raw mode. Its other end is kept open here too, so that a user may leave and come back; what nobody reads is
/// held up to the kernel's buffer and the ring, then dropped.
/// </summary>
public sealed unsafe class PtyBackend : ICharBackend
{
    private readonly FileDescriptor _peer;
    private readonly CharPump _pump;

    public PtyBackend()
    {
        FileDescriptor? master = null;
        try
        {
            master = FileDescriptor.Open("/dev/ptmx", LibcConstants.O_RDWR | LibcConstants.O_NOCTTY | LibcConstants.O_NONBLOCK);
            int locked = 0;
            int number;
            // SAFETY: both ioctls take a pointer to one int.
            if (Libc.ioctl(master.Value, LibcConstants.TIOCSPTLCK, (nint)(&locked)) != 0 || Libc.ioctl(master.Value, LibcConstants.TIOCGPTN, (nint)(&number)) != 0)
                throw LinuxException.FromLastError("set up the pseudo-terminal");
            Path = $"/dev/pts/{number}";
            _peer = FileDescriptor.Open(Path, LibcConstants.O_RDWR | LibcConstants.O_NOCTTY);
            // Without raw mode the line discipline would echo the guest's output back as its input.
            TerminalMode.SetRaw(_peer.Value);
            _pump = new CharPump("char-pty", master.Duplicate(), new CharOutput(master, nonBlocking: true));
        }
        catch (LinuxException e)
        {
            _peer?.Dispose();
            master?.Dispose();
            throw new BackendException($"cannot make a pseudo-terminal: {e.Message}", e);
        }
    }

    /// <summary>Where to connect, <c>/dev/pts/N</c>.</summary>
    public string Path { get; }

    /// <summary>Bytes of output that nobody took.</summary>
    public long DroppedBytes => _pump.DroppedBytes;

    public void Start(ICharFrontend frontend) => _pump.Start(frontend);

    public void Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    public int TryWrite(ReadOnlySpan<byte> data) => _pump.TryWrite(data);

    public void OnFrontendReady() => _pump.OnFrontendReady();

    public void Dispose()
    {
        _pump.Dispose();
        _peer.Dispose();
    }
}
