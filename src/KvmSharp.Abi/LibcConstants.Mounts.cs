namespace KvmSharp.Abi;

// linux/mount.h and the system call numbers of the mount interface; asm-generic/fcntl.h O_TMPFILE.
public static partial class LibcConstants
{
    public const int __NR_openat = 257, __NR_fsopen = 430, __NR_fsconfig = 431, __NR_fsmount = 432;

    public const int FSOPEN_CLOEXEC = 1, FSMOUNT_CLOEXEC = 1, FSCONFIG_SET_STRING = 1, FSCONFIG_CMD_CREATE = 6;

    public const int O_TMPFILE = 0x410000;
}
