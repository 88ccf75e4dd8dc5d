using KvmSharp.Abi;

namespace KvmSharp.Core.Memory;

/// <summary>Turns <see cref="GuestMemoryOptions"/> into host calls: the memfd and the advice on its mapping.</summary>
internal static unsafe class GuestMemoryHost
{
    internal static FileDescriptor CreateFile(GuestMemoryOptions options)
    {
        uint flags = LibcConstants.MFD_CLOEXEC | (options.HugePages ? LibcConstants.MFD_HUGETLB : 0);
        FileDescriptor file;
        fixed (byte* name = "kvmsharp-ram\0"u8)
        {
            int fd = Libc.memfd_create(name, flags);
            file = fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.FromLastError("memfd_create for guest memory");
        }

        if (Libc.ftruncate(file.Value, (long)options.SizeBytes) == 0)
            return file;
        LinuxException error = LinuxException.FromLastError($"allocate {options.SizeBytes} bytes of guest memory");
        file.Dispose();
        throw error;
    }

    internal static void Apply(GuestMemoryOptions options, MappedRegion mapping)
    {
        nuint length = (nuint)mapping.Length;
        if (options.Mergeable && Libc.madvise(mapping.Pointer, length, LibcConstants.MADV_MERGEABLE) != 0)
            throw LinuxException.FromLastError("madvise MADV_MERGEABLE on guest memory");
        if (options.Lock && Libc.mlock(mapping.Pointer, length) != 0)
            throw LinuxException.FromLastError("mlock guest memory");
        if (options.Preallocate && Libc.madvise(mapping.Pointer, length, LibcConstants.MADV_POPULATE_WRITE) != 0)
            throw LinuxException.FromLastError("preallocate guest memory");
    }
}
