using KvmSharp.Abi;

namespace KvmSharp.Core.HostPaths;

/// <summary>A program that is not confined does it itself.</summary>
public sealed unsafe class OwnPaths : IHostPaths
{
    /// <summary>Bytes of a path that <c>sun_path</c> holds beside its terminating zero.</summary>
    public const int MaxSocketPathBytes = 107;

    public static OwnPaths Instance { get; } = new();

    public IDisposable Keep(string path) => new KeptFile(path);

    public Func<FileDescriptor> Connector(string path) => () => Connect(path);

    private static FileDescriptor Connect(string path)
    {
        int fd = Libc.socket(LibcConstants.AF_UNIX, LibcConstants.SOCK_STREAM | LibcConstants.SOCK_CLOEXEC | LibcConstants.SOCK_NONBLOCK, 0);
        FileDescriptor file = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("socket");
        sockaddr_un address = PathEntry.SocketAddress(path);
        // Without waiting: whoever listens and never accepts must not hold us.
        if (Libc.connect(fd, &address, (uint)sizeof(sockaddr_un)) == 0 && Libc.fcntl(fd, LibcConstants.F_SETFL, 0) == 0)
            return file;
        LinuxException error = LinuxException.FromLastError($"connect {path}");
        file.Dispose();
        throw error;
    }

    private sealed class KeptFile : IDisposable
    {
        private readonly string _path;
        private readonly (ulong Inode, uint Major, uint Minor) _identity;

        public KeptFile(string path)
        {
            _path = path;
            _identity = Identify(path) ?? throw LinuxException.FromLastError($"stat {path}");
        }

        public void Dispose()
        {
            if (Identify(_path) == _identity)
                PathEntry.Remove(_path);
        }

        private static (ulong Inode, uint Major, uint Minor)? Identify(string path) =>
            PathEntry.TryStat(path, out statx found) ? (found.stx_ino, found.stx_dev_major, found.stx_dev_minor) : null;
    }
}
