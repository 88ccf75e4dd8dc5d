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
    private const ulong Int = uint.MaxValue;

    public static IReadOnlyList<SystemCall> Allowed { get; } =
    [
        // Devices of the host, each request by its own line below.
        new("ioctl", All, Ioctls()),

        // Waiting, locks, time.
        new("futex", All),
        new("sched_yield", All),
        new("clock_nanosleep", All),
        // Where the clock of the host cannot be read without a call (vdso(7)).
        new("clock_gettime", All),
        new("poll", Runtime | Vcpu),
        new("ppoll", Runtime),
        new("restart_syscall", All),

        // Signals: the runtime suspends threads and we kick vCPUs by tgkill, inside this process only.
        new("tgkill", All, new ArgumentCondition(0, Int, (ulong)Libc.getpid(), All)),
        new("getpid", All),
        new("gettid", All),
        new("rt_sigreturn", All),
        new("rt_sigprocmask", All),
        new("rt_sigaction", Runtime),
        new("sigaltstack", Runtime),

        // Memory: the collector's heap and threads' stacks. Nothing executable.
        new("mmap", All, NotExecutable),
        new("mprotect", All, NotExecutable),
        new("munmap", All),
        new("madvise", All),
        new("membarrier", All),
        new("getrusage", Runtime),
        new("sysinfo", All),

        // Threads, but no processes. Who serves a guest has them made by the thread-starter, which is a control thread.
        new("clone", Runtime, new ArgumentCondition(0, CLONE_THREAD, CLONE_THREAD, Runtime)),
        new("set_robust_list", Runtime),
        new("rseq", Runtime),
        new("sched_getaffinity", Runtime),
        new("sched_setaffinity", Control),
        new("prctl", Runtime, Prctl(PR_SET_NAME), Prctl(PR_GET_NAME), Prctl(PR_GET_SECCOMP), Prctl(PR_SET_VMA)),
        new("seccomp", Runtime, new ArgumentCondition(0, Int, SECCOMP_SET_MODE_FILTER, Runtime)),
        new("exit", All),
        new("exit_group", All),

        // What is open: images, taps, consoles, eventfds.
        new("read", All),
        new("write", All),
        new("close", All),
        new("readv", Io),
        new("writev", Io),
        new("pread64", Control),
        new("pwrite64", Runtime),
        new("preadv2", Io),
        new("pwritev2", Io),
        new("fdatasync", Io),
        new("fallocate", Io),
        new("lseek", Control),
        new("statx", Io),
        new("fcntl", Runtime),

        // What I/O threads run on, and the entropy device; vCPUs make part of it when a driver starts its device.
        new("eventfd2", Vcpu),
        new("io_uring_setup", Vcpu),
        new("io_uring_register", Vcpu | Io, IoUringRegister()),
        new("epoll_wait", Io),
        new("epoll_ctl", Vcpu | Io),
        new("timerfd_settime", Vcpu | Io),
        new("io_uring_enter", Io),
        new("getrandom", Io),

        // Consoles on sockets, vhost-user, the keeper of paths. No socket can be made that leads anywhere.
        new("accept4", Runtime | Io),
        new("socketpair", Io),
        new("sendmsg", Vcpu | Io),
        new("recvmsg", Vcpu | Io),
        new("shutdown", Vcpu | Io),
        new("setsockopt", Io),

        // A reset builds the machine anew, from what stayed open.
        new("epoll_create1", Control),
        new("timerfd_create", Control),
        new("memfd_create", Control),
        new("ftruncate", Control),
        new("sendfile", Control),
        new("mlock", Control),
        new("mbind", Control),
        new("newfstatat", Control),
        new("fstatfs", Control),
        new("dup", Control),
    ];

    /// <summary>Calls that fail with an errno in every role, without the end of the program, because somebody who means no harm makes them.</summary>
    public static IReadOnlyList<(string Name, int Errno)> Refused { get; } =
    [
        // The collector looks for the host's free memory and for limits, and does without.
        ("openat", ENOENT),
        ("open", ENOENT),
        ("readlink", ENOENT),
        ("access", ENOENT),
        ("getrlimit", EPERM),
        ("prlimit64", EPERM),

        // libc then takes mmap. It takes an errno of brk for an address, as the kernel has none for it (brk(2)); 0 is a refusal.
        ("brk", 0),
        ("mremap", ENOMEM),

        // Its flags lie in memory, where no filter sees them; libc then takes clone.
        ("clone3", ENOSYS),
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

    private static ArgumentCondition Prctl(int option) => new(0, Int, (ulong)option, Runtime);

    private static ArgumentCondition NotExecutable => new(2, PROT_EXEC, 0, All);
}
