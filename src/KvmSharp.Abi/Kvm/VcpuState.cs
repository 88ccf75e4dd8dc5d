using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Kvm;

/// <summary><c>struct kvm_regs</c>, asm/kvm.h.</summary>
public struct kvm_regs
{
    public ulong rax, rbx, rcx, rdx;
    public ulong rsi, rdi, rsp, rbp;
    public ulong r8, r9, r10, r11;
    public ulong r12, r13, r14, r15;
    public ulong rip, rflags;
}

/// <summary><c>struct kvm_segment</c>, asm/kvm.h.</summary>
public struct kvm_segment
{
    public ulong @base;
    public uint limit;
    public ushort selector;
    public byte type;
    public byte present, dpl, db, s, l, g, avl;
    public byte unusable;
    public byte padding;
}

/// <summary><c>struct kvm_dtable</c>, asm/kvm.h.</summary>
public unsafe struct kvm_dtable
{
    public ulong @base;
    public ushort limit;
    public fixed ushort padding[3];
}

/// <summary><c>struct kvm_sregs</c>, asm/kvm.h.</summary>
public unsafe struct kvm_sregs
{
    public kvm_segment cs, ds, es, fs, gs, ss;
    public kvm_segment tr, ldt;
    public kvm_dtable gdt, idt;
    public ulong cr0, cr2, cr3, cr4, cr8;
    public ulong efer;
    public ulong apic_base;
    public fixed ulong interrupt_bitmap[4];
}

/// <summary><c>struct kvm_sregs2</c>, asm/kvm.h.</summary>
public unsafe struct kvm_sregs2
{
    public kvm_segment cs, ds, es, fs, gs, ss;
    public kvm_segment tr, ldt;
    public kvm_dtable gdt, idt;
    public ulong cr0, cr2, cr3, cr4, cr8;
    public ulong efer;
    public ulong apic_base;
    public ulong flags;
    public fixed ulong pdptrs[4];
}

/// <summary><c>struct kvm_fpu</c>, asm/kvm.h.</summary>
public unsafe struct kvm_fpu
{
    public fixed byte fpr[8 * 16];
    public ushort fcw;
    public ushort fsw;
    public byte ftwx;
    public byte pad1;
    public ushort last_opcode;
    public ulong last_ip;
    public ulong last_dp;
    public fixed byte xmm[16 * 16];
    public uint mxcsr;
    public uint pad2;
}

/// <summary><c>struct kvm_msr_entry</c>, asm/kvm.h.</summary>
public struct kvm_msr_entry
{
    public uint index;
    public uint reserved;
    public ulong data;
}

/// <summary><c>struct kvm_msrs</c>, asm/kvm.h; entries follow.</summary>
public struct kvm_msrs
{
    public uint nmsrs;
    public uint pad;
}

/// <summary><c>struct kvm_msr_list</c>, asm/kvm.h; 32-bit indices follow.</summary>
public struct kvm_msr_list
{
    public uint nmsrs;
}

/// <summary><c>struct kvm_lapic_state</c>, asm/kvm.h.</summary>
public unsafe struct kvm_lapic_state
{
    public fixed byte regs[0x400];
}

/// <summary><c>struct kvm_mp_state</c>, linux/kvm.h.</summary>
public struct kvm_mp_state
{
    public uint mp_state;
}

/// <summary><c>struct kvm_vcpu_events</c>, asm/kvm.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct kvm_vcpu_events
{
    public exception_events exception;
    public interrupt_events interrupt;
    public nmi_events nmi;
    public uint sipi_vector;
    public uint flags;
    public smi_events smi;
    public triple_fault_events triple_fault;
    public fixed byte reserved[26];
    public byte exception_has_payload;
    public ulong exception_payload;

    /// <summary>Member <c>exception</c>.</summary>
    public struct exception_events
    {
        public byte injected;
        public byte nr;
        public byte has_error_code;
        public byte pending;
        public uint error_code;
    }

    /// <summary>Member <c>interrupt</c>.</summary>
    public struct interrupt_events
    {
        public byte injected;
        public byte nr;
        public byte soft;
        public byte shadow;
    }

    /// <summary>Member <c>nmi</c>.</summary>
    public struct nmi_events
    {
        public byte injected;
        public byte pending;
        public byte masked;
        public byte pad;
    }

    /// <summary>Member <c>smi</c>.</summary>
    public struct smi_events
    {
        public byte smm;
        public byte pending;
        public byte smm_inside_nmi;
        public byte latched_init;
    }

    /// <summary>Member <c>triple_fault</c>.</summary>
    public struct triple_fault_events
    {
        public byte pending;
    }
}

/// <summary><c>struct kvm_debugregs</c>, asm/kvm.h.</summary>
public unsafe struct kvm_debugregs
{
    public fixed ulong db[4];
    public ulong dr6;
    public ulong dr7;
    public ulong flags;
    public fixed ulong reserved[9];
}

/// <summary><c>struct kvm_xsave</c>, asm/kvm.h, without the tail that KVM_GET_XSAVE2 may add.</summary>
public unsafe struct kvm_xsave
{
    public fixed uint region[1024];
}

/// <summary><c>struct kvm_xcr</c>, asm/kvm.h.</summary>
public struct kvm_xcr
{
    public uint xcr;
    public uint reserved;
    public ulong value;
}

/// <summary><c>struct kvm_xcrs</c>, asm/kvm.h.</summary>
public unsafe struct kvm_xcrs
{
    public uint nr_xcrs;
    public uint flags;
    public xcrs_array xcrs;
    public fixed ulong padding[16];

    /// <summary>KVM_MAX_XCRS elements.</summary>
    [InlineArray(16)]
    public struct xcrs_array
    {
        private kvm_xcr _first;
    }
}

/// <summary><c>struct kvm_sync_regs</c>, asm/kvm.h.</summary>
public struct kvm_sync_regs
{
    public kvm_regs regs;
    public kvm_sregs sregs;
    public kvm_vcpu_events events;
}

/// <summary><c>struct kvm_debug_exit_arch</c>, asm/kvm.h.</summary>
public struct kvm_debug_exit_arch
{
    public uint exception;
    public uint pad;
    public ulong pc;
    public ulong dr6;
    public ulong dr7;
}

/// <summary><c>struct kvm_guest_debug_arch</c>, asm/kvm.h.</summary>
public unsafe struct kvm_guest_debug_arch
{
    public fixed ulong debugreg[8];
}

/// <summary><c>struct kvm_guest_debug</c>, linux/kvm.h.</summary>
public struct kvm_guest_debug
{
    public uint control;
    public uint pad;
    public kvm_guest_debug_arch arch;
}

/// <summary><c>struct kvm_translation</c>, linux/kvm.h.</summary>
public unsafe struct kvm_translation
{
    public ulong linear_address;
    public ulong physical_address;
    public byte valid;
    public byte writeable;
    public byte usermode;
    public fixed byte pad[5];
}

/// <summary><c>struct kvm_interrupt</c>, linux/kvm.h.</summary>
public struct kvm_interrupt
{
    public uint irq;
}

/// <summary><c>struct kvm_x86_mce</c>, linux/kvm.h.</summary>
public unsafe struct kvm_x86_mce
{
    public ulong status;
    public ulong addr;
    public ulong misc;
    public ulong mcg_status;
    public byte bank;
    public fixed byte pad1[7];
    public fixed ulong pad2[3];
}

/// <summary><c>struct kvm_signal_mask</c>, linux/kvm.h; the set follows.</summary>
public struct kvm_signal_mask
{
    public uint len;
}
