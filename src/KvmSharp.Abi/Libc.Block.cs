using System.Runtime.InteropServices;

namespace KvmSharp.Abi;

public static unsafe partial class Libc
{
    /// <param name="vectors">Array of <c>struct iovec</c>.</param>
    [LibraryImport(Library, EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint preadv2(int fd, void* vectors, int count, long offset, int flags);

    /// <param name="vectors">Array of <c>struct iovec</c>.</param>
    [LibraryImport(Library, EntryPoint = "pwritev2", SetLastError = true)]
    public static partial nint pwritev2(int fd, void* vectors, int count, long offset, int flags);

    [LibraryImport(Library, EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int fdatasync(int fd);

    [LibraryImport(Library, EntryPoint = "fallocate", SetLastError = true)]
    public static partial int fallocate(int fd, int mode, long offset, long length);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true)]
    public static partial int statx(int directory, byte* path, int flags, uint mask, statx* result);

    [LibraryImport(Library, EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int fstatfs(int fd, statfs* result);

    /// <summary>fcntl with a <c>struct flock</c>.</summary>
    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int fcntl(int fd, int command, flock* argument);
}

/// <summary><c>struct flock</c>, fcntl.h (x86-64).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct flock
{
    public short l_type;
    public short l_whence;
    public long l_start;
    public long l_len;
    public int l_pid;
}

/// <summary><c>struct statfs</c>, sys/vfs.h (x86-64).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct statfs
{
    public long f_type;
    public long f_bsize;
    public ulong f_blocks;
    public ulong f_bfree;
    public ulong f_bavail;
    public ulong f_files;
    public ulong f_ffree;
    public ulong f_fsid;
    public long f_namelen;
    public long f_frsize;
    public long f_flags;
    public fixed long f_spare[4];
}

/// <summary><c>struct statx_timestamp</c>, linux/stat.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct statx_timestamp
{
    public long tv_sec;
    public uint tv_nsec;
    public int __reserved;
}

/// <summary><c>struct statx</c>, linux/stat.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct statx
{
    public uint stx_mask;
    public uint stx_blksize;
    public ulong stx_attributes;
    public uint stx_nlink;
    public uint stx_uid;
    public uint stx_gid;
    public ushort stx_mode;
    public ushort __spare0;
    public ulong stx_ino;
    public ulong stx_size;
    public ulong stx_blocks;
    public ulong stx_attributes_mask;
    public statx_timestamp stx_atime;
    public statx_timestamp stx_btime;
    public statx_timestamp stx_ctime;
    public statx_timestamp stx_mtime;
    public uint stx_rdev_major;
    public uint stx_rdev_minor;
    public uint stx_dev_major;
    public uint stx_dev_minor;
    public ulong stx_mnt_id;
    public uint stx_dio_mem_align;
    public uint stx_dio_offset_align;
    public fixed ulong __spare3[12];
}
