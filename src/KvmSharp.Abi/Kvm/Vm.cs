using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Kvm;

/// <summary><c>struct kvm_userspace_memory_region</c>, linux/kvm.h.</summary>
public struct kvm_userspace_memory_region
{
    public uint slot;
    public uint flags;
    public ulong guest_phys_addr;
    public ulong memory_size;
    public ulong userspace_addr;
}

/// <summary><c>struct kvm_dirty_log</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Explicit)]
public unsafe struct kvm_dirty_log
{
    [FieldOffset(0)] public uint slot;
    [FieldOffset(4)] public uint padding1;
    [FieldOffset(8)] public void* dirty_bitmap;
    [FieldOffset(8)] public ulong padding2;
}

/// <summary><c>struct kvm_clear_dirty_log</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Explicit)]
public unsafe struct kvm_clear_dirty_log
{
    [FieldOffset(0)] public uint slot;
    [FieldOffset(4)] public uint num_pages;
    [FieldOffset(8)] public ulong first_page;
    [FieldOffset(16)] public void* dirty_bitmap;
    [FieldOffset(16)] public ulong padding2;
}

/// <summary><c>struct kvm_dirty_gfn</c>, linux/kvm.h: an element of a vCPU's dirty ring.</summary>
public struct kvm_dirty_gfn
{
    public uint flags;
    public uint slot;
    public ulong offset;
}

/// <summary><c>struct kvm_enable_cap</c>, linux/kvm.h.</summary>
public unsafe struct kvm_enable_cap
{
    public uint cap;
    public uint flags;
    public fixed ulong args[4];
    public fixed byte pad[64];
}

/// <summary><c>struct kvm_clock_data</c>, linux/kvm.h.</summary>
public unsafe struct kvm_clock_data
{
    public ulong clock;
    public uint flags;
    public uint pad0;
    public ulong realtime;
    public ulong host_tsc;
    public fixed uint pad[4];
}

/// <summary><c>struct kvm_msr_filter_range</c>, asm/kvm.h.</summary>
public unsafe struct kvm_msr_filter_range
{
    public uint flags;
    public uint nmsrs;
    public uint @base;
    public byte* bitmap;
}

/// <summary><c>struct kvm_msr_filter</c>, asm/kvm.h.</summary>
public struct kvm_msr_filter
{
    public uint flags;
    public ranges_array ranges;

    /// <summary>KVM_MSR_FILTER_MAX_RANGES elements.</summary>
    [InlineArray(16)]
    public struct ranges_array
    {
        private kvm_msr_filter_range _first;
    }
}

/// <summary><c>struct kvm_create_device</c>, linux/kvm.h.</summary>
public struct kvm_create_device
{
    public uint type;
    public uint fd;
    public uint flags;
}

/// <summary><c>struct kvm_device_attr</c>, linux/kvm.h.</summary>
public struct kvm_device_attr
{
    public uint flags;
    public uint group;
    public ulong attr;
    public ulong addr;
}

/// <summary><c>struct kvm_pre_fault_memory</c>, linux/kvm.h since Linux 6.11.</summary>
public unsafe struct kvm_pre_fault_memory
{
    public ulong gpa;
    public ulong size;
    public ulong flags;
    public fixed ulong padding[5];
}
