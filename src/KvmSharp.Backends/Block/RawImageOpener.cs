using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.LibcConstants;

namespace KvmSharp.Backends.Block;

/// <summary>Opens image files and says in one line what is wrong with them.</summary>
internal static class RawImageOpener
{
    public static FileDescriptor OpenFile(RawImageOptions options, bool direct)
    {
        int flags = (options.ReadOnly ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
        try
        {
            // A FIFO given by mistake must not hang us; afterwards the flag would make io_uring answer EAGAIN.
            FileDescriptor file = FileDescriptor.Open(options.Path, flags | O_NONBLOCK);
            _ = Libc.fcntl(file.Value, F_SETFL, flags);
            return file;
        }
        catch (LinuxException error)
        {
            throw new BackendException(Explain(options, direct, error), error);
        }
    }

    /// <summary>Finds out what the file is; <paramref name="size"/> in bytes.</summary>
    public static RawFileTraits Inspect(FileDescriptor file, RawImageOptions options, out ulong size)
    {
        string path = options.Path;
        if (!file.TryStat(out statx stat))
            throw new BackendException($"cannot stat disk image {path}");
        int type = stat.stx_mode & S_IFMT;
        if (type == S_IFDIR)
            throw new BackendException($"disk image {path} is a directory: give a file or a block device");
        if (type is not (S_IFREG or S_IFBLK))
            throw new BackendException($"disk image {path} is neither a regular file nor a block device");
        bool isBlock = type == S_IFBLK;
        if (!RawFileTraits.TryGetSize(file, isBlock, out size))
            throw new BackendException($"cannot find out the size of disk image {path}");
        CheckSize(path, size);
        if (isBlock && !options.ReadOnly && RawFileTraits.IsReadOnlyDevice(file))
            throw new BackendException($"disk image {path} is a read-only device: use readonly=on");
        uint logical = isBlock ? RawFileTraits.BlockSize(file, BLKSSZGET, 512) : 512;
        bool direct = RawImage.IsDirect(options.Cache);
        return new RawFileTraits
        {
            ReadOnly = options.ReadOnly,
            IsBlockDevice = isBlock,
            Direct = direct,
            EveryWriteStable = options.Cache is BlockCacheMode.Writethrough or BlockCacheMode.Directsync,
            IgnoreFlush = options.Cache == BlockCacheMode.Unsafe,
            Discard = options.Discard,
            InMemory = !isBlock && RawFileTraits.IsInMemory(file),
            LogicalBlockSize = logical,
            PhysicalBlockSize = isBlock ? RawFileTraits.BlockSize(file, BLKPBSZGET, logical) : FileBlockSize(stat.stx_blksize),
            OffsetAlignment = direct ? DirectAlignment(stat, stat.stx_dio_offset_align, isBlock ? logical : 4096) : 1,
            MemoryAlignment = direct ? DirectAlignment(stat, stat.stx_dio_mem_align, isBlock ? logical : 4096) : 1,
        };
    }

    private static void CheckSize(string path, ulong size)
    {
        if (size == 0)
            throw new BackendException($"disk image {path} is empty: give it a size, for example with 'truncate -s 10G {path}'");
        if (size % 512 != 0)
        {
            throw new BackendException(
                $"disk image {path} is {size} bytes long, not a multiple of 512: extend it with 'truncate -s {(size + 511) / 512 * 512} {path}'");
        }
    }

    private static uint FileBlockSize(uint blockSize) => uint.IsPow2(blockSize) ? Math.Clamp(blockSize, 512, 4096) : 512;

    /// <summary>The kernel's word (STATX_DIOALIGN, Linux 6.1), else what is right everywhere.</summary>
    private static uint DirectAlignment(in statx stat, uint reported, uint fallback) =>
        (stat.stx_mask & STATX_DIOALIGN) != 0 && uint.IsPow2(reported) ? reported : fallback;

    private static string Explain(RawImageOptions options, bool direct, LinuxException error)
    {
        string path = options.Path;
        if (Directory.Exists(path))
            return $"disk image {path} is a directory: give a file or a block device";
        return error.Errno switch
        {
            ENOENT => $"disk image {path} does not exist: check the path, or make one with 'truncate -s 10G {path}'",
            ENOTDIR => $"disk image {path} does not exist: a part of its path is not a directory",
            EACCES or EPERM when options.ReadOnly => $"disk image {path} is not readable: change its permissions or run as its owner",
            EACCES or EPERM => $"disk image {path} is not writable: change its permissions, or use readonly=on",
            EROFS => $"disk image {path} is on a read-only file system: use readonly=on",
            ETXTBSY => $"disk image {path} is a running program or swap file",
            ENXIO or ENODEV => $"disk image {path} is a device that is not there",
            EINVAL when direct => $"the file system of disk image {path} has no direct I/O: use cache=writeback instead of cache=none or directsync",
            _ => $"cannot open disk image {path}: {System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(error.Errno)}",
        };
    }
}
