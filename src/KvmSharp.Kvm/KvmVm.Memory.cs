using KvmSharp.Abi;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm;

public sealed unsafe partial class KvmVm
{
    private readonly Lock _memoryGate = new();
    private MemorySlot[] _slots = [];
    private GuestMemory[] _memories = [];
    private bool _logDirty;

    /// <summary>The slots in use; an immutable snapshot.</summary>
    public IReadOnlyList<MemorySlot> Slots => Volatile.Read(ref _slots);

    /// <summary>Gives all regions of <paramref name="memory"/> to the guest; it must outlive the VM.</summary>
    public void AddMemory(GuestMemory memory)
    {
        foreach (GuestMemoryRegion region in memory.Regions)
            AddSlot(region.Start, region.SizeBytes, region.Host);
        lock (_memoryGate)
            Volatile.Write(ref _memories, [.. _memories, memory]);
    }

    /// <summary>
    /// KVM_SET_USER_MEMORY_REGION: a range of our address space becomes guest memory. The mapping must outlive the slot.
    /// Throws <see cref="Core.LinuxException"/> (EEXIST: overlaps another slot).
    /// </summary>
    public MemorySlot AddSlot(GuestAddress start, ulong sizeBytes, nint host, bool readOnly = false)
    {
        lock (_memoryGate)
        {
            uint number = 0;
            while (Array.Exists(_slots, s => s.Number == number))
                number++;
            var slot = new MemorySlot(number, start, sizeBytes, host, readOnly);
            SetSlot(slot, sizeBytes);
            Volatile.Write(ref _slots, [.. _slots, slot]);
            return slot;
        }
    }

    /// <summary>Takes a range back; when this returns no vCPU can reach it any more.</summary>
    public void RemoveSlot(MemorySlot slot)
    {
        lock (_memoryGate)
        {
            SetSlot(slot, 0);
            Volatile.Write(ref _slots, Array.FindAll(_slots, s => s.Number != slot.Number));
        }
    }

    /// <summary>
    /// Drops the host mapping of one page of guest RAM, contents kept, so that the guest's next access faults it in again. Any thread.
    /// False if the address is not RAM or the host cannot (locked memory, huge pages).
    /// </summary>
    public bool DropPage(GuestAddress address)
    {
        ulong page = address.Value & ~(GuestMemory.PageSize - 1);
        foreach (MemorySlot slot in Volatile.Read(ref _slots))
        {
            ulong offset = page - slot.Start.Value;
            if (offset >= slot.SizeBytes)
                continue;

            // SAFETY: the page lies inside the slot. Guest RAM is a shared memfd mapping, so this zaps page tables and loses nothing.
            return Libc.madvise((byte*)slot.Host + offset, (nuint)GuestMemory.PageSize, LibcConstants.MADV_DONTNEED) == 0;
        }

        return false;
    }

    /// <summary>Turns dirty page logging of every slot on or off.</summary>
    public void SetDirtyLogging(bool enabled)
    {
        lock (_memoryGate)
        {
            _logDirty = enabled;
            foreach (MemorySlot slot in _slots)
                SetSlot(slot, slot.SizeBytes);
        }
    }

    /// <summary>
    /// KVM_GET_DIRTY_LOG: one bit per page of the slot into <paramref name="bitmap"/>, which needs <c>(PageCount + 63) / 64</c> words.
    /// Where KVM has manual protection (<see cref="ClearDirtyLog"/>) the pages stay marked until cleared.
    /// </summary>
    public void GetDirtyLog(MemorySlot slot, Span<ulong> bitmap)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan((ulong)bitmap.Length, (slot.PageCount + 63) / 64, nameof(bitmap));
        fixed (ulong* bits = bitmap)
        {
            kvm_dirty_log log = new() { slot = slot.Number, dirty_bitmap = bits };
            KvmIoctl.Call(File, KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
        }
    }

    /// <summary>True if <see cref="GetDirtyLog"/> leaves pages marked, to be cleared (and write-protected again) by <see cref="ClearDirtyLog"/>.</summary>
    public bool HasManualDirtyLog => Options.DirtyRingBytes == 0 && Check(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) != 0;

    /// <summary>KVM_CLEAR_DIRTY_LOG for a run of pages; <paramref name="firstPage"/> is a multiple of 64. Bit 0 of the bitmap is the first page.</summary>
    public void ClearDirtyLog(MemorySlot slot, ulong firstPage, uint pageCount, ReadOnlySpan<ulong> bitmap)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan((ulong)bitmap.Length, ((ulong)pageCount + 63) / 64, nameof(bitmap));
        fixed (ulong* bits = bitmap)
        {
            kvm_clear_dirty_log log = new() { slot = slot.Number, first_page = firstPage, num_pages = pageCount, dirty_bitmap = bits };
            KvmIoctl.Call(File, KVM_CLEAR_DIRTY_LOG, &log, "KVM_CLEAR_DIRTY_LOG");
        }
    }

    /// <summary>KVM_RESET_DIRTY_RINGS: takes harvested entries of every vCPU's ring back and protects their pages again. Returns how many.</summary>
    public int ResetDirtyRings() => KvmIoctl.Call(File, KVM_RESET_DIRTY_RINGS, 0UL, "KVM_RESET_DIRTY_RINGS");

    internal bool TryReadMemory(GuestAddress address, Span<byte> into)
    {
        foreach (GuestMemory memory in Volatile.Read(ref _memories))
        {
            if (memory.TryRead(address, into))
                return true;
        }

        return false;
    }

    private void SetSlot(MemorySlot slot, ulong sizeBytes)
    {
        kvm_userspace_memory_region region = new()
        {
            slot = slot.Number,
            guest_phys_addr = slot.Start.Value,
            memory_size = sizeBytes,
            userspace_addr = (ulong)slot.Host,
            flags = (slot.ReadOnly ? KVM_MEM_READONLY : 0) | (_logDirty && !slot.ReadOnly ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        };
        KvmIoctl.Call(File, KVM_SET_USER_MEMORY_REGION, &region, $"KVM_SET_USER_MEMORY_REGION {slot.Start}");
    }
}
