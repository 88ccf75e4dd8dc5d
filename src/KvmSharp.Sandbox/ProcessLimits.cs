using KvmSharp.Abi;

namespace KvmSharp.Sandbox;

/// <summary>
/// Resource limits of the confined program. Not the size of files, which are disks, and not the number of processes: that counts all of a user's, also those of
/// others who share it, while none can be made anyway.
/// </summary>
internal static unsafe class ProcessLimits
{
    /// <summary>No core dumps, which would hold guest memory's keys and ours; no more descriptors than now allowed.</summary>
    /// <param name="mayLockMemory">The user to come may have registered buffers and locked memory, as the user now has.</param>
    public static void Apply(bool mayLockMemory)
    {
        rlimit none = default;
        _ = Libc.setrlimit(LibcConstants.RLIMIT_CORE, &none);
        rlimit files;
        if (Libc.getrlimit(LibcConstants.RLIMIT_NOFILE, &files) == 0)
        {
            files.rlim_max = files.rlim_cur;
            _ = Libc.setrlimit(LibcConstants.RLIMIT_NOFILE, &files);
        }

        rlimit unlimited = new() { rlim_cur = LibcConstants.RLIM_INFINITY, rlim_max = LibcConstants.RLIM_INFINITY };
        if (mayLockMemory)
            _ = Libc.setrlimit(LibcConstants.RLIMIT_MEMLOCK, &unlimited);
    }
}
