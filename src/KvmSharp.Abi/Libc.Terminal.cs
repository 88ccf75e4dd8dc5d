using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    [LibraryImport(Library, EntryPoint = "getpgrp")]
    public static partial int getpgrp();
}

/// <summary><c>struct termios</c> as the kernel has it (asm-generic/termbits.h), the argument of TCGETS and TCSETS.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct termios
{
    public uint c_iflag;
    public uint c_oflag;
    public uint c_cflag;
    public uint c_lflag;
    public byte c_line;
    public fixed byte c_cc[19];
}

/// <summary><c>struct winsize</c> (asm-generic/termios.h), the argument of TIOCGWINSZ and TIOCSWINSZ.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct winsize
{
    public ushort ws_row;
    public ushort ws_col;
    public ushort ws_xpixel;
    public ushort ws_ypixel;
}
