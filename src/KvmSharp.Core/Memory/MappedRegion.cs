using System.Runtime.InteropServices;
using KvmSharp.Abi;
using Microsoft.Win32.SafeHandles;

namespace KvmSharp.Core.Memory;

/// <summary>The one owner of a memory mapping; munmap(2) on dispose.</summary>
public sealed unsafe class MappedRegion : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>Nothing is mapped in this many bytes before and behind an aligned mapping: running off its end faults at once.</summary>
    private const ulong GuardBytes = 64 << 10;

    private readonly nuint _before, _mapped;

    private MappedRegion(void* address, ulong length, nuint before = 0, nuint mapped = 0)
        : base(ownsHandle: true)
    {
        Length = length;
        _before = before;
        _mapped = mapped == 0 ? (nuint)length : mapped;
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

    /// <summary>
    /// As <see cref="MapShared"/> or, without a file, anonymous memory of this process alone, at a multiple of <paramref name="alignment"/>, a power of
    /// two of whole pages: huge pages need guest and host addresses that are congruent. Lies between guard pages.
    /// </summary>
    public static MappedRegion MapAligned(FileDescriptor? file, ulong length, ulong alignment)
    {
        nuint reserved = checked((nuint)(length + alignment + 2 * GuardBytes));
        byte* start = (byte*)Libc.mmap(null, reserved, LibcConstants.PROT_NONE, LibcConstants.MAP_PRIVATE | LibcConstants.MAP_ANONYMOUS | LibcConstants.MAP_NORESERVE, -1, 0);
        if ((nint)start == -1)
            throw LinuxException.FromLastError($"mmap of {length} bytes");
        byte* aligned = (byte*)(((ulong)start + GuardBytes + alignment - 1) & ~(alignment - 1));
        int flags = (file is null ? LibcConstants.MAP_PRIVATE | LibcConstants.MAP_ANONYMOUS : LibcConstants.MAP_SHARED) | LibcConstants.MAP_NORESERVE | LibcConstants.MAP_FIXED;
        // SAFETY: [aligned, aligned + length) lies inside the reservation just made, which nothing else uses.
        void* mapped = Libc.mmap(aligned, (nuint)length, LibcConstants.PROT_READ | LibcConstants.PROT_WRITE, flags, file?.Value ?? -1, 0);
        if ((nint)mapped == -1)
        {
            LinuxException error = LinuxException.FromLastError($"mmap of {length} bytes");
            _ = Libc.munmap(start, reserved);
            throw error;
        }

        nuint pages = (nuint)((length + 4095) & ~4095UL);
        byte* first = aligned - GuardBytes;
        byte* end = aligned + pages + GuardBytes;
        if (first > start)
            _ = Libc.munmap(start, (nuint)(first - start));
        if (end < start + reserved)
            _ = Libc.munmap(end, (nuint)(start + reserved - end));
        return new MappedRegion(aligned, length, (nuint)GuardBytes, (nuint)(end - first));
    }

    /// <summary>
    /// Zeroed memory of this process alone, given back whole on dispose. Of a large table only the pages that were touched cost anything: it is never backed by
    /// huge pages, as what malloc gives may be.
    /// </summary>
    public static MappedRegion MapPrivate(ulong length)
    {
        MappedRegion region = Map(length, LibcConstants.MAP_PRIVATE | LibcConstants.MAP_ANONYMOUS | LibcConstants.MAP_NORESERVE, -1, 0);
        // A kernel without huge pages refuses, and need not be told.
        _ = Libc.madvise(region.Pointer, (nuint)length, LibcConstants.MADV_NOHUGEPAGE);
        return region;
    }

    private static MappedRegion Map(ulong length, int flags, int fd, long offset)
    {
        void* address = Libc.mmap(null, (nuint)length, LibcConstants.PROT_READ | LibcConstants.PROT_WRITE, flags, fd, offset);
        return (nint)address != -1 ? new MappedRegion(address, length) : throw LinuxException.FromLastError($"mmap of {length} bytes");
    }

    protected override bool ReleaseHandle() => Libc.munmap((byte*)handle - _before, _mapped) == 0;
}
