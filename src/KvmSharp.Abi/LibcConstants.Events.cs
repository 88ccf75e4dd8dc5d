namespace KvmSharp.Abi;

// sys/timerfd.h, time.h
public static partial class LibcConstants
{
    public const int CLOCK_MONOTONIC = 1;
    public const int TFD_NONBLOCK = 0x800, TFD_CLOEXEC = 0x80000;
}
