using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>Reads and changes a terminal's line settings (termios(3)).</summary>
internal static unsafe class TerminalMode
{
    /// <summary>False if the descriptor is no terminal.</summary>
    public static bool TryGet(int fd, out termios mode)
    {
        termios read = default;
        // SAFETY: TCGETS fills one struct termios.
        bool ok = Libc.ioctl(fd, LibcConstants.TCGETS, (nint)(&read)) == 0;
        mode = read;
        return ok;
    }

    /// <summary>False if the descriptor is no terminal.</summary>
    public static bool TryGetSize(int fd, out TerminalSize size)
    {
        winsize read = default;
        // SAFETY: TIOCGWINSZ fills one struct winsize.
        bool ok = Libc.ioctl(fd, LibcConstants.TIOCGWINSZ, (nint)(&read)) == 0;
        size = new TerminalSize(read.ws_col, read.ws_row);
        return ok;
    }

    /// <summary>Applies at once, without waiting for output that a stopped terminal might never take.</summary>
    public static bool TrySet(int fd, in termios mode)
    {
        fixed (termios* p = &mode)
            return Libc.ioctl(fd, LibcConstants.TCSETS, (nint)p) == 0;
    }

    /// <summary>Every key reaches the reader as it is; output processing stays, so that our own messages keep their line ends.</summary>
    public static termios ToRaw(termios mode)
    {
        mode.c_iflag &= ~(LibcConstants.IGNBRK | LibcConstants.BRKINT | LibcConstants.PARMRK | LibcConstants.ISTRIP | LibcConstants.INLCR
            | LibcConstants.IGNCR | LibcConstants.ICRNL | LibcConstants.IXON);
        mode.c_lflag &= ~(LibcConstants.ECHO | LibcConstants.ECHONL | LibcConstants.ICANON | LibcConstants.ISIG | LibcConstants.IEXTEN);
        mode.c_cflag = (mode.c_cflag & ~(LibcConstants.CSIZE | LibcConstants.PARENB)) | LibcConstants.CS8;
        mode.c_cc[LibcConstants.VMIN] = 1;
        mode.c_cc[LibcConstants.VTIME] = 0;
        return mode;
    }

    /// <summary>Raw in both directions. Throws <see cref="LinuxException"/> if it is no terminal.</summary>
    public static void SetRaw(int fd)
    {
        if (!TryGet(fd, out termios mode))
            throw LinuxException.FromLastError("read the terminal's settings");
        mode = ToRaw(mode);
        mode.c_oflag &= ~LibcConstants.OPOST;
        if (!TrySet(fd, mode))
            throw LinuxException.FromLastError("change the terminal's settings");
    }
}
