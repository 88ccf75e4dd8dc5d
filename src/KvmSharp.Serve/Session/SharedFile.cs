using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Serve.Session;

/// <summary>What a file that a front end shares must be before it is mapped.</summary>
internal static unsafe class SharedFile
{
    /// <summary>
    /// Memory, and as long as it has to be: a page of any other file system may take as long as its owner likes, and with it the thread that the
    /// queues of others are on. Throws <see cref="ProtocolException"/>.
    /// </summary>
    /// <returns>Bytes of a page of it.</returns>
    public static ulong Check(FileDescriptor file, ulong offset, ulong length)
    {
        statfs system;
        if (Libc.fstatfs(file.Value, &system) != 0 || !file.TryStat(out statx stat))
            throw LinuxException.FromLastError("look at a shared file");
        if ((ulong)system.f_type is not (LibcConstants.TMPFS_MAGIC or LibcConstants.HUGETLBFS_MAGIC))
            throw new ProtocolException("shared memory is neither memfd, tmpfs nor huge pages");
        if (offset > stat.stx_size || length > stat.stx_size - offset)
            throw new ProtocolException($"{length} bytes at offset {offset} of a shared file of {stat.stx_size} bytes");
        return Math.Max(ulong.IsPow2(stat.stx_blksize) ? stat.stx_blksize : 0, Core.Memory.GuestMemory.PageSize);
    }
}
