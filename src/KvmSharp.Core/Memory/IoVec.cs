using System.Runtime.InteropServices;

namespace KvmSharp.Core.Memory;

/// <summary>
/// A range of host memory, laid out as <c>struct iovec</c> (sys/uio.h) so that arrays of it go to the kernel unchanged. The
/// creator has checked that the range is valid; for guest memory that is <see cref="GuestMemory.TryGetPointer"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public readonly unsafe struct IoVec(byte* start, nuint length)
{
    /// <summary>First byte.</summary>
    public readonly byte* Base = start;

    /// <summary>Bytes.</summary>
    public readonly nuint Length = length;

    /// <summary>The range as a span. The guest may change it at any moment; only for ranges below 2 GiB.</summary>
    public Span<byte> Span => new(Base, checked((int)Length));
}
