namespace KvmSharp.Abi;

// sys/timerfd.h, time.h, sys/epoll.h
public static partial class LibcConstants
{
    public const int CLOCK_MONOTONIC = 1;
    public const uint EPOLLET = 1u << 31;
    public const int TFD_NONBLOCK = 0x800, TFD_CLOEXEC = 0x80000;
}
