namespace KvmSharp.Abi;

public static partial class LibcConstants
{
    // asm-generic/ioctls.h
    public const uint TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TIOCGPGRP = 0x540F, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, TIOCGPTN = 0x80045430, TIOCSPTLCK = 0x40045431;

    // asm-generic/termbits.h
    public const uint BRKINT = 0x2, IGNBRK = 0x1, PARMRK = 0x8, ISTRIP = 0x20, INLCR = 0x40, IGNCR = 0x80, ICRNL = 0x100, IXON = 0x400;
    public const uint OPOST = 0x1;
    public const uint CSIZE = 0x30, CS8 = 0x30, PARENB = 0x100;
    public const uint ISIG = 0x1, ICANON = 0x2, ECHO = 0x8, ECHONL = 0x40, IEXTEN = 0x8000;
    public const int VTIME = 5, VMIN = 6;

    public const int SEEK_CUR = 1;
}
