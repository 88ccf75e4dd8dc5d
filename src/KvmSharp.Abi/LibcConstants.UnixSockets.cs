namespace KvmSharp.Abi;

public static partial class LibcConstants
{
    // sys/socket.h
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;

    // linux/stat.h, linux/fcntl.h
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const int S_IFSOCK = 0xC000;

    public const int EADDRINUSE = 98, ECONNREFUSED = 111;
}
