using KvmSharp.Core.Memory;

namespace KvmSharp.Kvm;

/// <summary>A range of guest physical memory given to the kernel.</summary>
/// <param name="Number">KVM's slot number.</param>
/// <param name="Start">First guest physical address.</param>
/// <param name="SizeBytes">Length; whole pages.</param>
/// <param name="Host">First byte in our address space.</param>
/// <param name="ReadOnly">Guest writes become MMIO exits.</param>
public readonly record struct MemorySlot(uint Number, GuestAddress Start, ulong SizeBytes, nint Host, bool ReadOnly)
{
    /// <summary>Pages in the slot, that is bits in its dirty bitmap.</summary>
    public ulong PageCount => SizeBytes / GuestMemory.PageSize;
}
