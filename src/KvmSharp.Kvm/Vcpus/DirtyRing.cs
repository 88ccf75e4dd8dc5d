using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>A vCPU's ring of dirtied pages (kernel virt/kvm/api.rst 8.29). One harvesting thread at a time.</summary>
public sealed unsafe class DirtyRing : IDisposable
{
    private readonly MappedRegion _mapping;
    private readonly kvm_dirty_gfn* _entries;
    private readonly uint _count;
    private uint _next;

    internal DirtyRing(FileDescriptor vcpu, uint sizeBytes)
    {
        _mapping = MappedRegion.MapShared(vcpu, sizeBytes, KVM_DIRTY_LOG_PAGE_OFFSET * (long)GuestMemory.PageSize);
        _entries = (kvm_dirty_gfn*)_mapping.Pointer;
        _count = sizeBytes / (uint)sizeof(kvm_dirty_gfn);
    }

    /// <summary>
    /// Takes up to <paramref name="into"/>.Length dirtied pages: slot number and page offset in it. They stay writable without a trace
    /// until <see cref="KvmVm.ResetDirtyRings"/>. Returns how many.
    /// </summary>
    public int Harvest(Span<(uint Slot, ulong Page)> into)
    {
        int taken = 0;
        while (taken < into.Length)
        {
            kvm_dirty_gfn* entry = _entries + (_next % _count);

            // Pairs with the kernel's release of the flag: slot and offset are valid once it is seen.
            if (Volatile.Read(ref entry->flags) != KVM_DIRTY_GFN_F_DIRTY)
                break;
            into[taken++] = (entry->slot, entry->offset);
            Volatile.Write(ref entry->flags, KVM_DIRTY_GFN_F_RESET);
            _next++;
        }

        return taken;
    }

    public void Dispose() => _mapping.Dispose();
}
