using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>What was found out about an image when it was opened, and how the user wants it used.</summary>
internal sealed unsafe record RawFileTraits
{
    public bool ReadOnly { get; init; }

    public bool IsBlockDevice { get; init; }

    public bool Direct { get; init; }

    /// <summary>writethrough, directsync.</summary>
    public bool EveryWriteStable { get; init; }

    /// <summary>unsafe.</summary>
    public bool IgnoreFlush { get; init; }

    public bool Discard { get; init; }

    /// <summary>The file lies in the host's memory (tmpfs, ramfs): transfers copy, and wait for no device unless the host swaps.</summary>
    public bool InMemory { get; init; }

    /// <summary>Direct I/O: power of two that offsets and lengths must be multiples of.</summary>
    public uint OffsetAlignment { get; init; } = 1;

    /// <summary>Direct I/O: power of two that memory must be aligned to.</summary>
    public uint MemoryAlignment { get; init; } = 1;

    public uint LogicalBlockSize { get; init; } = 512;

    public uint PhysicalBlockSize { get; init; } = 512;

    /// <summary>True for a file of tmpfs or ramfs.</summary>
    public static bool IsInMemory(FileDescriptor file)
    {
        statfs system;
        return Libc.fstatfs(file.Value, &system) == 0 && (ulong)system.f_type is LibcConstants.TMPFS_MAGIC or LibcConstants.RAMFS_MAGIC;
    }

    public static bool TryGetSize(FileDescriptor file, bool isBlockDevice, out ulong size)
    {
        size = 0;
        if (isBlockDevice)
        {
            ulong bytes;
            bool ok = Libc.ioctl(file.Value, LibcConstants.BLKGETSIZE64, (nint)(&bytes)) == 0;
            size = ok ? bytes : 0;
            return ok;
        }

        if (!file.TryStat(out statx stat))
            return false;
        size = stat.stx_size;
        return true;
    }

    /// <summary>BLKROGET. A read-only device can be opened for writing; only the writes fail.</summary>
    public static bool IsReadOnlyDevice(FileDescriptor file)
    {
        int value = 0;
        return Libc.ioctl(file.Value, LibcConstants.BLKROGET, (nint)(&value)) == 0 && value != 0;
    }

    /// <summary>An int-valued block device ioctl, or <paramref name="fallback"/>.</summary>
    public static uint BlockSize(FileDescriptor file, uint request, uint fallback)
    {
        uint value = 0;
        return Libc.ioctl(file.Value, request, (nint)(&value)) == 0 && value >= 512 && uint.IsPow2(value) ? value : fallback;
    }
}
