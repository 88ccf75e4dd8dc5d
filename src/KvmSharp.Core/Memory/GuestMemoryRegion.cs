namespace KvmSharp.Core.Memory;

/// <summary>One contiguous range of guest RAM: where the guest sees it, where we see it, and where it lies in the memfd.</summary>
/// <param name="start">First guest physical address.</param>
/// <param name="sizeBytes">Length; a multiple of 4096.</param>
/// <param name="host">First byte in our address space.</param>
/// <param name="fileOffset">Offset in <see cref="GuestMemory.File"/>.</param>
public readonly unsafe struct GuestMemoryRegion(GuestAddress start, ulong sizeBytes, nint host, ulong fileOffset)
{
    public GuestAddress Start { get; } = start;

    public ulong SizeBytes { get; } = sizeBytes;

    public nint Host { get; } = host;

    /// <summary>For whoever maps the memfd itself: vhost-user and VFIO peers.</summary>
    public ulong FileOffset { get; } = fileOffset;

    /// <summary>First guest physical address past the region.</summary>
    public ulong End => Start.Value + SizeBytes;

    public byte* Pointer => (byte*)Host;
}
