using System.Runtime.InteropServices;
using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>
/// The file behind guest RAM. It outlives the memory that is made from it one after the other, each of which finds it empty: a program that is
/// confined can no longer make one as good.
/// </summary>
public sealed class GuestMemoryFile : IDisposable
{
    private readonly FileDescriptor? _mount;
    private ulong _size;

    private GuestMemoryFile(FileDescriptor file, FileDescriptor? mount, bool hasHugePages)
    {
        File = file;
        _mount = mount;
        HasHugePages = hasHugePages;
    }

    internal FileDescriptor File { get; }

    /// <summary>It is made of huge pages, as far as the host has any.</summary>
    internal bool HasHugePages { get; }

    /// <summary>An empty file of the kind that the options ask for. Throws <see cref="LinuxException"/>.</summary>
    public static GuestMemoryFile Create(GuestMemoryOptions options)
    {
        if (!options.HugePages && HugeTmpfs.TryCreateFile(out FileDescriptor? mount) is { } file)
            return new(file, mount, hasHugePages: true);
        return new(CreateMemfd(options), mount: null, options.HugePages);
    }

    /// <summary>
    /// Gives the file its size, which it has for good; a file that has it already loses what the last memory left in it. A descriptor of the caller's own.
    /// </summary>
    internal FileDescriptor Prepare(ulong size)
    {
        if (_size == 0)
            SetSize(size);
        else if (Libc.fallocate(File.Value, LibcConstants.FALLOC_FL_PUNCH_HOLE | LibcConstants.FALLOC_FL_KEEP_SIZE, 0, (long)_size) != 0)
            throw LinuxException.FromLastError("empty the file of guest memory");
        return size == _size ? File.Duplicate() : throw new ArgumentOutOfRangeException(nameof(size), "the file has another size");
    }

    private void SetSize(ulong size)
    {
        if (size > long.MaxValue || Libc.ftruncate(File.Value, (long)size) != 0)
            throw new LinuxException($"allocate {HostMemoryInfo.Text(size)} of guest memory", size <= long.MaxValue ? Marshal.GetLastPInvokeError() : LibcConstants.EFBIG);
        // Who shares it (a vhost-user back end) cannot take it from under us. A tmpfs has no seals to give and refuses.
        _ = Libc.fcntl(File.Value, LibcConstants.F_ADD_SEALS, LibcConstants.F_SEAL_SHRINK | LibcConstants.F_SEAL_GROW | LibcConstants.F_SEAL_SEAL);
        _size = size;
    }

    private static unsafe FileDescriptor CreateMemfd(GuestMemoryOptions options)
    {
        uint flags = LibcConstants.MFD_CLOEXEC | LibcConstants.MFD_ALLOW_SEALING | (options.HugePages ? LibcConstants.MFD_HUGETLB : 0);
        fixed (byte* name = "kvmsharp-ram\0"u8)
        {
            int fd = Libc.memfd_create(name, flags);
            return fd >= 0
                ? new FileDescriptor(fd)
                : throw LinuxException.FromLastError("memfd_create for guest memory", options.HugePages ? "the host has no huge pages, run without" : null);
        }
    }

    public void Dispose()
    {
        File.Dispose();
        _mount?.Dispose();
    }
}
