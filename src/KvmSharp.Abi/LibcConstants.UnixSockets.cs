namespace KvmSharp.Abi;

public static partial class LibcConstants
{
    // sys/socket.h
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
    public const int SOL_SOCKET = 1, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SCM_RIGHTS = 1, SHUT_RDWR = 2;
    public const int MSG_CTRUNC = 8, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000;

    // linux/stat.h, linux/fcntl.h
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const int S_IFSOCK = 0xC000;

    public const int EPROTO = 71, EADDRINUSE = 98, ECONNRESET = 104, ECONNREFUSED = 111;
}
