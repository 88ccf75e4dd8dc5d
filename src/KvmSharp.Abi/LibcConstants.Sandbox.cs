namespace KvmSharp.Abi;

// What confinement needs: sched.h, sys/mount.h, sys/resource.h, linux/landlock.h, linux/seccomp.h, asm/unistd_64.h
public static partial class LibcConstants
{
    public const int CLONE_NEWNS = 0x20000, CLONE_NEWUTS = 0x4000000, CLONE_NEWIPC = 0x8000000, CLONE_THREAD = 0x10000;

    public const uint MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_REC = 0x4000, MS_PRIVATE = 0x40000;
    public const int MNT_DETACH = 2;
    public const int __NR_pivot_root = 155, __NR_landlock_create_ruleset = 444;

    public const int RLIMIT_CORE = 4, RLIMIT_NOFILE = 7;
    public const int PR_GET_NAME = 16, PR_GET_SECCOMP = 21, PR_SET_VMA = 0x53564d41;

    public const uint LANDLOCK_CREATE_RULESET_VERSION = 1;
    public const ulong LANDLOCK_ACCESS_NET_BIND_TCP = 1, LANDLOCK_ACCESS_NET_CONNECT_TCP = 2, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1;

    public const int SECCOMP_SET_MODE_FILTER = 1;
}
