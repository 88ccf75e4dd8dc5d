using System.Runtime.InteropServices;
using KvmSharp.Abi;
using Microsoft.Win32.SafeHandles;

namespace KvmSharp.Core.Memory;

/// <summary>The one owner of a memory mapping; munmap(2) on dispose.</summary>
public sealed unsafe class MappedRegion : SafeHandleZeroOrMinusOneIsInvalid
{
    private MappedRegion(void* address, ulong length)
        : base(ownsHandle: true)
    {
        Length = length;
        SetHandle((nint)address);
    }

    public ulong Length { get; }

    /// <summary>First byte; valid until disposed.</summary>
    public byte* Pointer => (byte*)handle;

    /// <summary>
    /// Maps <paramref name="length"/> bytes of a file from <paramref name="offset"/>, shared, readable and writable. Swap (huge
    /// pages, if the file is made of them) is reserved only when asked for.
    /// </summary>
    public static MappedRegion MapShared(FileDescriptor file, ulong length, long offset = 0, bool reserve = false) =>
        Map(length, LibcConstants.MAP_SHARED | (reserve ? 0 : LibcConstants.MAP_NORESERVE), file.Value, offset);

    /// <summary>Anonymous memory of this process alone, zeroed, without reserving swap.</summary>
    public static MappedRegion MapPrivate(ulong length) =>
        Map(length, LibcConstants.MAP_PRIVATE | LibcConstants.MAP_ANONYMOUS | LibcConstants.MAP_NORESERVE, -1, 0);

    private static MappedRegion Map(ulong length, int flags, int fd, long offset)
    {
        void* address = Libc.mmap(null, (nuint)length, LibcConstants.PROT_READ | LibcConstants.PROT_WRITE, flags, fd, offset);
        return (nint)address != -1 ? new MappedRegion(address, length) : throw LinuxException.FromLastError($"mmap of {length} bytes");
    }

    protected override bool ReleaseHandle() => Libc.munmap((void*)handle, (nuint)Length) == 0;
}
