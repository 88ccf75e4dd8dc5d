namespace KvmSharp.Abi;

// time.h
public static partial class LibcConstants
{
    public const int CLOCK_THREAD_CPUTIME_ID = 3;
}
