using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>
/// A file of guest RAM on a tmpfs of its own whose policy is to use transparent huge pages. A memfd follows the host-wide policy for
/// shared memory, which distributions leave at "never"; then the guest faults in each 4 KiB page by itself. The tmpfs is mounted
/// nowhere (fsopen(2), fsmount(2)) and goes with the last descriptor of the file. Needs CAP_SYS_ADMIN; who lacks it gets a memfd.
/// </summary>
internal static unsafe class HugeTmpfs
{
    /// <summary>An unnamed, empty file; null when the host or the caller's privileges do not allow it.</summary>
    /// <param name="mount">There with the file, for the caller to close, at leisure: the kernel waits for all CPUs then, a millisecond.</param>
    internal static FileDescriptor? TryCreateFile(out FileDescriptor? mount)
    {
        mount = null;
        using FileDescriptor? context = Adopt(Open("tmpfs\0"u8));
        if (context is null || !Set(context, "huge\0"u8, "within_size\0"u8) || !Set(context, "size\0"u8, "0\0"u8)
            || Libc.syscall(LibcConstants.__NR_fsconfig, context.Value, LibcConstants.FSCONFIG_CMD_CREATE, 0, 0, 0, 0) != 0)
        {
            return null;
        }

        mount = Adopt(Libc.syscall(LibcConstants.__NR_fsmount, context.Value, LibcConstants.FSMOUNT_CLOEXEC, 0, 0, 0, 0));
        if (mount is null)
            return null;
        fixed (byte* here = ".\0"u8)
        {
            int flags = LibcConstants.O_TMPFILE | LibcConstants.O_RDWR | LibcConstants.O_CLOEXEC;
            if (Adopt(Libc.syscall(LibcConstants.__NR_openat, mount.Value, (nint)here, flags, 0x180, 0, 0)) is { } file) // mode 0600
                return file;
        }

        mount.Dispose();
        mount = null;
        return null;
    }

    private static nint Open(ReadOnlySpan<byte> type)
    {
        fixed (byte* name = type)
            return Libc.syscall(LibcConstants.__NR_fsopen, (nint)name, LibcConstants.FSOPEN_CLOEXEC, 0, 0, 0, 0);
    }

    private static bool Set(FileDescriptor context, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* k = key, v = value)
            return Libc.syscall(LibcConstants.__NR_fsconfig, context.Value, LibcConstants.FSCONFIG_SET_STRING, (nint)k, (nint)v, 0, 0) == 0;
    }

    private static FileDescriptor? Adopt(nint fd) => fd >= 0 ? new FileDescriptor((int)fd) : null;
}
