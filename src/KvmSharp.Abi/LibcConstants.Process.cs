namespace KvmSharp.Abi;

public static partial class LibcConstants
{
    // asm/signal.h, unistd.h
    public const int SIGPIPE = 13;
    public const nint SIG_IGN = 1;
    public const int R_OK = 4, W_OK = 2;
    // linux/prctl.h
    public const int PR_SET_NAME = 15;
    // linux/sched.h
    public const int CLONE_NEWNET = 0x40000000;
    // sys/resource.h
    public const ulong RLIM_INFINITY = ulong.MaxValue;
}
