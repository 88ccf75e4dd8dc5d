using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>Reads and changes a terminal's line settings (termios(3)).</summary>
internal static unsafe class TerminalMode
{
    /// <summary>EINTR in a row.</summary>
    private const int MaxInterruptions = 64;

    /// <summary>False if the descriptor is no terminal.</summary>
    public static bool TryGet(int fd, out termios mode)
    {
        termios read = default;
        // SAFETY: TCGETS fills one struct termios.
        bool ok = TryIoctl(fd, LibcConstants.TCGETS, (nint)(&read));
        mode = read;
        return ok;
    }

    /// <summary>False if the descriptor is no terminal.</summary>
    public static bool TryGetSize(int fd, out TerminalSize size)
    {
        winsize read = default;
        // SAFETY: TIOCGWINSZ fills one struct winsize.
        bool ok = TryIoctl(fd, LibcConstants.TIOCGWINSZ, (nint)(&read));
        size = new TerminalSize(read.ws_col, read.ws_row);
        return ok;
    }

    /// <summary>Applies at once, without waiting for output that a stopped terminal might never take.</summary>
    public static bool TrySet(int fd, in termios mode)
    {
        fixed (termios* p = &mode)
            return TryIoctl(fd, LibcConstants.TCSETS, (nint)p);
    }

    /// <summary>Whether it is this process's own terminal and this its foreground job.</summary>
    public static bool IsForeground(int fd)
    {
        int job;
        // SAFETY: TIOCGPGRP fills one pid_t.
        return TryIoctl(fd, LibcConstants.TIOCGPGRP, (nint)(&job)) && job == Libc.getpgrp();
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

    /// <summary>A signal must not leave a terminal raw.</summary>
    private static bool TryIoctl(int fd, uint request, nint argument)
    {
        for (int i = 0; i < MaxInterruptions; i++)
        {
            if (Libc.ioctl(fd, request, argument) == 0)
                return true;
            if (Marshal.GetLastPInvokeError() != LibcConstants.EINTR)
                break;
        }

        return false;
    }
}
