using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>
/// A Landlock ruleset (linux/landlock.h) that permits nothing of all that the kernel can deny by it: no file may be opened or changed by path, no TCP port used,
/// no abstract socket of others reached. What is open stays so.
/// </summary>
internal static unsafe class Landlock
{
    // LANDLOCK_ACCESS_FS_*: so many bits from version 1, 2 (REFER), 3 (TRUNCATE) and 5 (IOCTL_DEV) on.
    private static readonly int[] s_fileRights = [0, 13, 14, 15, 15, 16];

    /// <summary>What the kernel has; 0: no Landlock, or it is turned off.</summary>
    public static int Version
    {
        get
        {
            nint version = Libc.syscall(LibcConstants.__NR_landlock_create_ruleset, 0, 0, (nint)LibcConstants.LANDLOCK_CREATE_RULESET_VERSION, 0, 0, 0);
            return version > 0 ? (int)version : 0;
        }
    }

    /// <summary>A ruleset for landlock_restrict_self(2). Throws <see cref="LinuxException"/>.</summary>
    public static FileDescriptor CreateRuleset(int version)
    {
        // struct landlock_ruleset_attr, which grew: handled_access_fs; from version 4 on handled_access_net; from version 6 on scoped.
        // Not signals: kernels before 6.15 would take threads of one process for strangers.
        ulong* attributes = stackalloc ulong[]
        {
            (1UL << s_fileRights[Math.Min(version, s_fileRights.Length - 1)]) - 1,
            LibcConstants.LANDLOCK_ACCESS_NET_BIND_TCP | LibcConstants.LANDLOCK_ACCESS_NET_CONNECT_TCP,
            LibcConstants.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET,
        };
        int size = sizeof(ulong) * (version >= 6 ? 3 : version >= 4 ? 2 : 1);
        nint fd = Libc.syscall(LibcConstants.__NR_landlock_create_ruleset, (nint)attributes, size, 0, 0, 0, 0);
        return fd >= 0 ? new FileDescriptor((int)fd) : throw LinuxException.FromLastError("landlock_create_ruleset");
    }
}
