using KvmSharp.Abi;

namespace KvmSharp.Core.HostPaths;

/// <summary>A program that is not confined does it itself.</summary>
public sealed class OwnPaths : IHostPaths
{
    /// <summary>Bytes of a path that <c>sun_path</c> holds beside its terminating zero.</summary>
    public const int MaxSocketPathBytes = 107;

    public static OwnPaths Instance { get; } = new();

    public IDisposable Keep(string path) => new KeptFile(path);

    public Func<FileDescriptor> Connector(string path) => () => Connect(path);

    private static FileDescriptor Connect(string path)
    {
        FileDescriptor socket = PathEntry.TryConnect(path) ?? throw LinuxException.FromLastError($"connect {path}");
        if (Libc.fcntl(socket.Value, LibcConstants.F_SETFL, 0) == 0)
            return socket;
        LinuxException error = LinuxException.FromLastError($"fcntl {path}");
        socket.Dispose();
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
