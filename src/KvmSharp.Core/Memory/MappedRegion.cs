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

    /// <summary>Maps <paramref name="length"/> bytes of a file from offset 0, shared, readable and writable, without reserving swap.</summary>
    public static MappedRegion MapShared(FileDescriptor file, ulong length, long offset = 0)
    {
        void* address = Libc.mmap(null, (nuint)length, LibcConstants.PROT_READ | LibcConstants.PROT_WRITE,
            LibcConstants.MAP_SHARED | LibcConstants.MAP_NORESERVE, file.Value, offset);
        return (nint)address != -1 ? new MappedRegion(address, length) : throw LinuxException.FromLastError($"mmap of {length} bytes");
    }

    protected override bool ReleaseHandle() => Libc.munmap((void*)handle, (nuint)Length) == 0;
}
