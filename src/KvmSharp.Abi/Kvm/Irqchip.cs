using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Kvm;

/// <summary><c>struct kvm_irq_level</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Explicit)]
public struct kvm_irq_level
{
    [FieldOffset(0)] public uint irq;
    [FieldOffset(0)] public int status;
    [FieldOffset(4)] public uint level;
}

/// <summary><c>struct kvm_pic_state</c>, asm/kvm.h.</summary>
public struct kvm_pic_state
{
    public byte last_irr;
    public byte irr;
    public byte imr;
    public byte isr;
    public byte priority_add;
    public byte irq_base;
    public byte read_reg_select;
    public byte poll;
    public byte special_mask;
    public byte init_state;
    public byte auto_eoi;
    public byte rotate_on_auto_eoi;
    public byte special_fully_nested_mode;
    public byte init4;
    public byte elcr;
    public byte elcr_mask;
}

/// <summary><c>struct kvm_ioapic_state</c>, asm/kvm.h; an entry of <c>redirtbl</c> is its 64 <c>bits</c>.</summary>
public unsafe struct kvm_ioapic_state
{
    public ulong base_address;
    public uint ioregsel;
    public uint id;
    public uint irr;
    public uint pad;
    public fixed ulong redirtbl[24];
}

/// <summary><c>struct kvm_irqchip</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kvm_irqchip
{
    public uint chip_id;
    public uint pad;
    public chip_state chip;

    /// <summary>The union <c>chip</c>.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    public struct chip_state
    {
        [FieldOffset(0)] public fixed byte dummy[512];
        [FieldOffset(0)] public kvm_pic_state pic;
        [FieldOffset(0)] public kvm_ioapic_state ioapic;
    }
}

/// <summary><c>struct kvm_pit_config</c>, linux/kvm.h.</summary>
public unsafe struct kvm_pit_config
{
    public uint flags;
    public fixed uint pad[15];
}

/// <summary><c>struct kvm_pit_channel_state</c>, asm/kvm.h.</summary>
public struct kvm_pit_channel_state
{
    public uint count;
    public ushort latched_count;
    public byte count_latched;
    public byte status_latched;
    public byte status;
    public byte read_state;
    public byte write_state;
    public byte write_latch;
    public byte rw_mode;
    public byte mode;
    public byte bcd;
    public byte gate;
    public long count_load_time;
}

/// <summary><c>struct kvm_pit_state2</c>, asm/kvm.h.</summary>
public unsafe struct kvm_pit_state2
{
    public channels_array channels;
    public uint flags;
    public fixed uint reserved[9];

    /// <summary>Three counters.</summary>
    [InlineArray(3)]
    public struct channels_array
    {
        private kvm_pit_channel_state _first;
    }
}

/// <summary><c>struct kvm_reinject_control</c>, asm/kvm.h.</summary>
public unsafe struct kvm_reinject_control
{
    public byte pit_reinject;
    public fixed byte reserved[31];
}

/// <summary><c>struct kvm_irq_routing_irqchip</c>, linux/kvm.h.</summary>
public struct kvm_irq_routing_irqchip
{
    public uint irqchip;
    public uint pin;
}

/// <summary><c>struct kvm_irq_routing_msi</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Explicit)]
public struct kvm_irq_routing_msi
{
    [FieldOffset(0)] public uint address_lo;
    [FieldOffset(4)] public uint address_hi;
    [FieldOffset(8)] public uint data;
    [FieldOffset(12)] public uint pad;
    [FieldOffset(12)] public uint devid;
}

/// <summary><c>struct kvm_irq_routing_entry</c>, linux/kvm.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kvm_irq_routing_entry
{
    public uint gsi;
    public uint type;
    public uint flags;
    public uint pad;
    public target u;

    /// <summary>The union <c>u</c>.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    public struct target
    {
        [FieldOffset(0)] public kvm_irq_routing_irqchip irqchip;
        [FieldOffset(0)] public kvm_irq_routing_msi msi;
        [FieldOffset(0)] public fixed uint pad[8];

        // The C union is 8-byte aligned through members for other machines.
        [FieldOffset(0)] private ulong _align;
    }
}

/// <summary><c>struct kvm_irq_routing</c>, linux/kvm.h; entries follow.</summary>
public struct kvm_irq_routing
{
    public uint nr;
    public uint flags;
}

/// <summary><c>struct kvm_irqfd</c>, linux/kvm.h.</summary>
public unsafe struct kvm_irqfd
{
    public uint fd;
    public uint gsi;
    public uint flags;
    public uint resamplefd;
    public fixed byte pad[16];
}

/// <summary><c>struct kvm_ioeventfd</c>, linux/kvm.h.</summary>
public unsafe struct kvm_ioeventfd
{
    public ulong datamatch;
    public ulong addr;
    public uint len;
    public int fd;
    public uint flags;
    public fixed byte pad[36];
}

/// <summary><c>struct kvm_msi</c>, linux/kvm.h.</summary>
public unsafe struct kvm_msi
{
    public uint address_lo;
    public uint address_hi;
    public uint data;
    public uint flags;
    public uint devid;
    public fixed byte pad[12];
}
