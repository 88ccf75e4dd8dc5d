namespace KvmSharp.Abi;

// linux/perf_event.h, asm/unistd_64.h
public static partial class LibcConstants
{
    public const int __NR_perf_event_open = 298;

    public const uint PERF_TYPE_TRACEPOINT = 2, PERF_ATTR_SIZE_VER0 = 64, PERF_FLAG_FD_CLOEXEC = 8;
}
