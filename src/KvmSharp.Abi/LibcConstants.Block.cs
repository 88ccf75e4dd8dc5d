namespace KvmSharp.Abi;

// What disks and files need: fcntl.h, linux/falloc.h, linux/fs.h, linux/magic.h, linux/stat.h, sys/stat.h
public static partial class LibcConstants
{
    public const int EROFS = 30, ENOLCK = 37, ETXTBSY = 26;

    public const int F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
    public const int F_OFD_GETLK = 36, F_OFD_SETLK = 37;
    public const int SEEK_SET = 0;

    public const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2, FALLOC_FL_ZERO_RANGE = 0x10;
    public const int RWF_DSYNC = 2;

    public const uint BLKROGET = 0x125E, BLKSSZGET = 0x1268, BLKGETSIZE64 = 0x80081272, BLKDISCARD = 0x1277, BLKPBSZGET = 0x127B,
        BLKZEROOUT = 0x127F;

    public const int AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000;
    public const uint STATX_BASIC_STATS = 0x7FF, STATX_DIOALIGN = 0x2000;
    public const ulong TMPFS_MAGIC = 0x01021994, RAMFS_MAGIC = 0x858458F6, HUGETLBFS_MAGIC = 0x958458F6;
    public const ushort S_IFMT = 0xF000, S_IFDIR = 0x4000, S_IFBLK = 0x6000, S_IFREG = 0x8000;
}
