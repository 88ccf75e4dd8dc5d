namespace KvmSharp.Core.Memory;

/// <summary>One contiguous range of guest RAM: where the guest sees it, where we see it, and where it lies in the memfd.</summary>
/// <param name="Start">First guest physical address.</param>
/// <param name="SizeBytes">Length; a multiple of 4096.</param>
/// <param name="Host">First byte in our address space.</param>
/// <param name="FileOffset">Offset in <see cref="GuestMemory.File"/>, for vhost-user and VFIO peers.</param>
public readonly unsafe record struct GuestMemoryRegion(GuestAddress Start, ulong SizeBytes, nint Host, ulong FileOffset)
{
    /// <summary>First guest physical address past the region.</summary>
    public ulong End => Start.Value + SizeBytes;

    public byte* Pointer => (byte*)Host;
}
