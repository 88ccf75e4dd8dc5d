using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Sandbox;

/// <summary>
/// Namespaces of the program's own, for the calling thread (unshare(2)): mounts with nothing but an empty, read-only root, a network without an interface, IPC and
/// host name. Descriptors that are open go on working. The others follow by <see cref="Namespaces"/>.
/// </summary>
internal sealed unsafe class EmptyRoot : IDisposable
{
    // In the order of native-shims/sandbox.h.
    private static readonly string[] s_names = ["mnt", "net", "ipc", "uts"];

    private readonly List<FileDescriptor> _namespaces = [];
    private FileDescriptor? _directory;

    /// <summary>Moves the calling thread. Throws <see cref="LinuxException"/>.</summary>
    public static EmptyRoot Enter()
    {
        const int All = LibcConstants.CLONE_NEWNS | LibcConstants.CLONE_NEWNET | LibcConstants.CLONE_NEWIPC | LibcConstants.CLONE_NEWUTS;
        if (Libc.unshare(All) != 0)
            throw LinuxException.FromLastError("unshare");
        var root = new EmptyRoot();
        try
        {
            foreach (string name in s_names)
                root._namespaces.Add(FileDescriptor.Open($"/proc/thread-self/ns/{name}", LibcConstants.O_RDONLY));
            MoveRoot();
            root._directory = FileDescriptor.Open("/", LibcConstants.O_RDONLY | LibcConstants.O_DIRECTORY);
            return root;
        }
        catch
        {
            root.Dispose();
            throw;
        }
    }

    /// <summary>Descriptors for the other threads to join, in the order of native-shims/sandbox.h.</summary>
    public IReadOnlyList<FileDescriptor> Namespaces => _namespaces;

    /// <summary>The root, for the other threads: what joins a mount namespace finds itself at its first root, which is another one where the program was in a chroot.</summary>
    public FileDescriptor Directory => _directory!;

    public void Dispose()
    {
        _directory?.Dispose();
        foreach (FileDescriptor file in _namespaces)
            file.Dispose();
    }

    /// <summary>A tmpfs with room for its own root directory only, over a directory that every host has; then it is the root and the old one is gone.</summary>
    private static void MoveRoot()
    {
        const uint ReadOnly = LibcConstants.MS_RDONLY | LibcConstants.MS_NOSUID | LibcConstants.MS_NODEV | LibcConstants.MS_NOEXEC;
        fixed (byte* slash = "/\0"u8, place = "/proc\0"u8, here = ".\0"u8, type = "tmpfs\0"u8, options = "size=4k,nr_inodes=2,mode=0555\0"u8)
        {
            // Or the host would see what is mounted here.
            Check(Libc.mount(null, slash, null, LibcConstants.MS_REC | LibcConstants.MS_PRIVATE, null), "make mounts private");
            Check(Libc.mount(type, place, type, ReadOnly, options), "mount an empty root");
            Check(Libc.chdir(place), "enter the empty root");
            // The old root lies over the new one until it is detached (pivot_root(2), "pivot_root . .").
            Check((int)Libc.syscall(LibcConstants.__NR_pivot_root, (nint)here, (nint)here, 0, 0, 0, 0), "pivot_root");
            Check(Libc.umount2(here, LibcConstants.MNT_DETACH), "detach the old root");
            Check(Libc.chdir(slash), "enter the empty root");
        }
    }

    private static void Check(int result, string what)
    {
        if (result != 0)
            throw LinuxException.FromLastError(what);
    }
}
