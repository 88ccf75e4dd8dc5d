namespace KvmSharp.Abi;

public static partial class LibcConstants
{
    // asm/signal.h, unistd.h
    public const int SIGPIPE = 13;
    public const nint SIG_IGN = 1;
    public const int R_OK = 4, W_OK = 2;
    public const ulong RLIM_INFINITY = ulong.MaxValue;
}
