namespace KvmSharp.Abi;

// Numbers of system calls: asm/unistd_64.h. Others stand beside what uses them.
public static partial class LibcConstants
{
    public const int __NR_read = 0, __NR_write = 1, __NR_open = 2, __NR_close = 3, __NR_poll = 7, __NR_lseek = 8, __NR_mmap = 9, __NR_mprotect = 10, __NR_munmap = 11;
    public const int __NR_brk = 12, __NR_rt_sigaction = 13, __NR_rt_sigprocmask = 14, __NR_rt_sigreturn = 15, __NR_ioctl = 16, __NR_pread64 = 17, __NR_pwrite64 = 18;
    public const int __NR_readv = 19, __NR_writev = 20, __NR_access = 21, __NR_sched_yield = 24, __NR_mremap = 25, __NR_madvise = 28, __NR_dup = 32, __NR_getpid = 39;
    public const int __NR_sendfile = 40, __NR_sendmsg = 46, __NR_recvmsg = 47, __NR_shutdown = 48, __NR_socketpair = 53, __NR_setsockopt = 54, __NR_clone = 56;
    public const int __NR_exit = 60, __NR_fcntl = 72, __NR_fdatasync = 75, __NR_ftruncate = 77, __NR_readlink = 89, __NR_getrlimit = 97, __NR_getrusage = 98;
    public const int __NR_sysinfo = 99, __NR_sigaltstack = 131, __NR_fstatfs = 138, __NR_mlock = 149, __NR_prctl = 157, __NR_gettid = 186, __NR_futex = 202;
    public const int __NR_sched_setaffinity = 203, __NR_sched_getaffinity = 204, __NR_restart_syscall = 219, __NR_clock_gettime = 228, __NR_clock_nanosleep = 230;
    public const int __NR_exit_group = 231, __NR_epoll_wait = 232, __NR_epoll_ctl = 233, __NR_tgkill = 234, __NR_newfstatat = 262, __NR_ppoll = 271;
    public const int __NR_set_robust_list = 273, __NR_timerfd_create = 283, __NR_fallocate = 285, __NR_timerfd_settime = 286, __NR_accept4 = 288, __NR_eventfd2 = 290;
    public const int __NR_epoll_create1 = 291, __NR_prlimit64 = 302, __NR_seccomp = 317, __NR_getrandom = 318, __NR_memfd_create = 319, __NR_membarrier = 324;
    public const int __NR_preadv2 = 327, __NR_pwritev2 = 328, __NR_statx = 332, __NR_rseq = 334, __NR_clone3 = 435;

    /// <summary>The bit of the numbers of x32, another way to call the same kernel (asm/unistd.h).</summary>
    public const int __X32_SYSCALL_BIT = 0x40000000;
}
