using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.IoUringConstants;
using static KvmSharp.Abi.Kvm.KvmConstants;
using static KvmSharp.Abi.LibcConstants;
using static KvmSharp.Abi.NetConstants;
using static KvmSharp.Sandbox.Roles;

namespace KvmSharp.Sandbox;

/// <summary>
/// The system calls of a confined program by role: all that there are. What is not here ends the program; what <see cref="Refused"/> has fails quietly.
/// </summary>
public static class SystemCalls
{
    private const Roles All = Runtime | Vcpu | Io;
    private const uint Int = uint.MaxValue;

    public static IReadOnlyList<SystemCall> Allowed { get; } =
    [
        // Devices of the host, each request by its own line below.
        new(__NR_ioctl, All, Ioctls()),

        // Waiting, locks, time.
        new(__NR_futex, All),
        new(__NR_sched_yield, All),
        new(__NR_clock_nanosleep, All),
        // Where the clock of the host cannot be read without a call (vdso(7)).
        new(__NR_clock_gettime, All),
        new(__NR_poll, Runtime | Vcpu),
        new(__NR_ppoll, Runtime),
        new(__NR_restart_syscall, All),

        // Signals: the runtime suspends threads and we kick vCPUs by tgkill, inside this process only.
        new(__NR_tgkill, All, new ArgumentCondition(0, Int, (uint)Libc.getpid(), All)),
        new(__NR_getpid, All),
        new(__NR_gettid, All),
        new(__NR_rt_sigreturn, All),
        new(__NR_rt_sigprocmask, All),
        new(__NR_rt_sigaction, Runtime),
        new(__NR_sigaltstack, Runtime),

        // Memory: the collector's heap and threads' stacks. Nothing executable.
        new(__NR_mmap, All, NotExecutable),
        new(__NR_mprotect, All, NotExecutable),
        new(__NR_munmap, All),
        new(__NR_madvise, All),
        new(__NR_membarrier, All),
        new(__NR_getrusage, Runtime),
        new(__NR_sysinfo, All),

        // Threads, but no processes. Who serves a guest has them made by the thread-starter, which is a control thread.
        new(__NR_clone, Runtime, new ArgumentCondition(0, CLONE_THREAD, CLONE_THREAD, Runtime)),
        new(__NR_set_robust_list, Runtime),
        new(__NR_rseq, Runtime),
        new(__NR_sched_getaffinity, Runtime),
        new(__NR_sched_setaffinity, Control),
        new(__NR_prctl, Runtime, Prctl(PR_SET_NAME), Prctl(PR_GET_NAME), Prctl(PR_GET_SECCOMP), Prctl(PR_SET_VMA)),
        new(__NR_seccomp, Runtime, new ArgumentCondition(0, Int, SECCOMP_SET_MODE_FILTER, Runtime)),
        new(__NR_exit, All),
        new(__NR_exit_group, All),

        // What is open: images, taps, consoles, eventfds.
        new(__NR_read, All),
        new(__NR_write, All),
        new(__NR_close, All),
        new(__NR_readv, Io),
        new(__NR_writev, Io),
        new(__NR_pread64, Control),
        new(__NR_pwrite64, Runtime),
        new(__NR_preadv2, Io),
        new(__NR_pwritev2, Io),
        new(__NR_fdatasync, Io),
        new(__NR_fallocate, Io),
        new(__NR_lseek, Control),
        new(__NR_statx, Io),
        new(__NR_fcntl, Runtime),

        // What I/O threads run on, and the entropy device; vCPUs make part of it when a driver starts its device.
        new(__NR_eventfd2, Vcpu),
        new(__NR_io_uring_setup, Vcpu),
        new(__NR_io_uring_register, Vcpu | Io, IoUringRegister()),
        new(__NR_epoll_wait, Io),
        new(__NR_epoll_ctl, Vcpu | Io),
        new(__NR_timerfd_settime, Vcpu | Io),
        new(__NR_io_uring_enter, Io),
        new(__NR_getrandom, Io),

        // Consoles on sockets, vhost-user, the keeper of paths. No socket can be made that leads anywhere.
        new(__NR_accept4, Runtime | Io),
        new(__NR_socketpair, Io),
        new(__NR_sendmsg, Vcpu | Io),
        new(__NR_recvmsg, Vcpu | Io),
        new(__NR_shutdown, Vcpu | Io),
        new(__NR_setsockopt, Io),

        // A reset builds the machine anew, from what stayed open.
        new(__NR_epoll_create1, Control),
        new(__NR_timerfd_create, Control),
        new(__NR_memfd_create, Control),
        new(__NR_ftruncate, Control),
        new(__NR_sendfile, Control),
        new(__NR_mlock, Control),
        new(__NR_mbind, Control),
        new(__NR_newfstatat, Control),
        new(__NR_fstatfs, Control),
        new(__NR_dup, Control),
    ];

    /// <summary>Calls that fail with an errno in every role, without the end of the program, because somebody who means no harm makes them.</summary>
    public static IReadOnlyList<(int Number, int Errno)> Refused { get; } =
    [
        // The collector looks for the host's free memory and for limits, and does without.
        (__NR_openat, ENOENT),
        (__NR_open, ENOENT),
        (__NR_readlink, ENOENT),
        (__NR_access, ENOENT),
        (__NR_getrlimit, EPERM),
        (__NR_prlimit64, EPERM),

        // libc then takes mmap. It takes an errno of brk for an address, as the kernel has none for it (brk(2)); 0 is a refusal.
        (__NR_brk, 0),
        (__NR_mremap, ENOMEM),

        // Its flags lie in memory, where no filter sees them; libc then takes clone.
        (__NR_clone3, ENOSYS),
    ];

    /// <summary>How many calls a role may make, whatever their arguments.</summary>
    public static int Count(ThreadRole role) => Allowed.Count(call => call.IsFor(role));

    private static ArgumentCondition[] IoUringRegister() =>
    [
        // Rings are made by whoever starts the device, for the thread that then uses them: it alone can turn them on.
        new(1, Int, IORING_REGISTER_PROBE, Vcpu),
        new(1, Int, IORING_REGISTER_EVENTFD, Vcpu),
        new(1, Int, IORING_REGISTER_FILES, Vcpu),
        new(1, Int, IORING_REGISTER_BUFFERS, Vcpu),
        new(1, Int, IORING_REGISTER_ENABLE_RINGS, Io),
    ];

    private static ArgumentCondition[] Ioctls() =>
    [
        // vCPUs: themselves, and interrupts that a device of ours sends.
        Ioctl(KVM_RUN, Vcpu),
        Ioctl(KVM_IRQ_LINE, All),
        Ioctl(KVM_SIGNAL_MSI, All),
        .. KvmOfVcpus(),

        // Everything else of KVM (0xAE) and vhost (0xAF) makes and describes machines and devices.
        new(1, 0xFF00, 0xAE00, Control),
        new(1, 0xFF00, 0xAF00, Vcpu | Io),

        // Disks.
        Ioctl(BLKDISCARD, Io),
        Ioctl(BLKZEROOUT, Io),
        Ioctl(BLKGETSIZE64, Io),

        // Taps.
        Ioctl(TUNGETIFF, Vcpu | Io),
        Ioctl(SIOCGIFFLAGS, Vcpu | Io),
        Ioctl(SIOCGIFMTU, Vcpu | Io),
        Ioctl(TUNSETOFFLOAD, Vcpu | Io),
        Ioctl(TUNSETQUEUE, Vcpu | Io),
        Ioctl(TUNSETVNETHDRSZ, Vcpu | Io),

        // Terminals.
        Ioctl(TCGETS, Runtime),
        Ioctl(TCSETS, All),
        Ioctl(TCSETSW, Runtime),
        Ioctl(TIOCGWINSZ, All),
    ];

    private static ArgumentCondition[] KvmOfVcpus() =>
    [
        .. new uint[]
        {
            KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_MP_STATE, KVM_SET_MP_STATE,
            KVM_GET_LAPIC, KVM_SET_LAPIC, KVM_GET_MSRS, KVM_SET_MSRS, KVM_INTERRUPT, KVM_NMI, KVM_TRANSLATE, KVM_CHECK_EXTENSION, KVM_SET_USER_MEMORY_REGION,
            KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IOEVENTFD,
        }.Select(request => Ioctl(request, Vcpu | Io)),
    ];

    private static ArgumentCondition Ioctl(uint request, Roles roles) => new(1, Int, request, roles);

    private static ArgumentCondition Prctl(int option) => new(0, Int, (uint)option, Runtime);

    private static ArgumentCondition NotExecutable => new(2, PROT_EXEC, 0, All);
}
