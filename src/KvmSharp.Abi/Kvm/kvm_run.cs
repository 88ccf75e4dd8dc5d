using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Kvm;

/// <summary><c>struct kvm_run</c>, linux/kvm.h: the page shared with the kernel through mmap of a vCPU. Nested types are the union's members.</summary>
[StructLayout(LayoutKind.Explicit, Size = 2352)]
public unsafe struct kvm_run
{
    [FieldOffset(0)] public byte request_interrupt_window;
    [FieldOffset(1)] public byte immediate_exit;
    [FieldOffset(2)] public fixed byte padding1[6];
    [FieldOffset(8)] public uint exit_reason;
    [FieldOffset(12)] public byte ready_for_interrupt_injection;
    [FieldOffset(13)] public byte if_flag;
    [FieldOffset(14)] public ushort flags;
    [FieldOffset(16)] public ulong cr8;
    [FieldOffset(24)] public ulong apic_base;
    [FieldOffset(32)] public hw_exit hw;
    [FieldOffset(32)] public fail_entry_exit fail_entry;
    [FieldOffset(32)] public ex_exit ex;
    [FieldOffset(32)] public io_exit io;
    [FieldOffset(32)] public debug_exit debug;
    [FieldOffset(32)] public mmio_exit mmio;
    [FieldOffset(32)] public hypercall_exit hypercall;
    [FieldOffset(32)] public tpr_access_exit tpr_access;
    [FieldOffset(32)] public internal_exit @internal;
    [FieldOffset(32)] public emulation_failure_exit emulation_failure;
    [FieldOffset(32)] public system_event_exit system_event;
    [FieldOffset(32)] public eoi_exit eoi;
    [FieldOffset(32)] public msr_exit msr;
    [FieldOffset(32)] public notify_exit notify;
    [FieldOffset(32)] public memory_fault_exit memory_fault;
    [FieldOffset(32)] public fixed byte padding[256];
    [FieldOffset(288)] public ulong kvm_valid_regs;
    [FieldOffset(296)] public ulong kvm_dirty_regs;
    [FieldOffset(304)] public sync_regs s;

    /// <summary>KVM_EXIT_UNKNOWN.</summary>
    public struct hw_exit
    {
        public ulong hardware_exit_reason;
    }

    /// <summary>KVM_EXIT_FAIL_ENTRY.</summary>
    public struct fail_entry_exit
    {
        public ulong hardware_entry_failure_reason;
        public uint cpu;
    }

    /// <summary>KVM_EXIT_EXCEPTION.</summary>
    public struct ex_exit
    {
        public uint exception;
        public uint error_code;
    }

    /// <summary>KVM_EXIT_IO: <c>count</c> elements of <c>size</c> bytes at <c>data_offset</c> from the start of kvm_run.</summary>
    public struct io_exit
    {
        public byte direction;
        public byte size;
        public ushort port;
        public uint count;
        public ulong data_offset;
    }

    /// <summary>KVM_EXIT_DEBUG.</summary>
    public struct debug_exit
    {
        public kvm_debug_exit_arch arch;
    }

    /// <summary>KVM_EXIT_MMIO.</summary>
    public struct mmio_exit
    {
        public ulong phys_addr;
        public fixed byte data[8];
        public uint len;
        public byte is_write;
    }

    /// <summary>KVM_EXIT_HYPERCALL.</summary>
    public struct hypercall_exit
    {
        public ulong nr;
        public fixed ulong args[6];
        public ulong ret;
        public uint longmode;
        public uint pad;
    }

    /// <summary>KVM_EXIT_TPR_ACCESS.</summary>
    public struct tpr_access_exit
    {
        public ulong rip;
        public uint is_write;
        public uint pad;
    }

    /// <summary>KVM_EXIT_INTERNAL_ERROR.</summary>
    public struct internal_exit
    {
        public uint suberror;
        public uint ndata;
        public fixed ulong data[16];
    }

    /// <summary>KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_EMULATION.</summary>
    public struct emulation_failure_exit
    {
        public uint suberror;
        public uint ndata;
        public ulong flags;
        public byte insn_size;
        public fixed byte insn_bytes[15];
    }

    /// <summary>KVM_EXIT_SYSTEM_EVENT.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 136)]
    public struct system_event_exit
    {
        [FieldOffset(0)] public uint type;
        [FieldOffset(4)] public uint ndata;
        [FieldOffset(8)] public ulong flags;
        [FieldOffset(8)] public fixed ulong data[16];
    }

    /// <summary>KVM_EXIT_IOAPIC_EOI.</summary>
    public struct eoi_exit
    {
        public byte vector;
    }

    /// <summary>KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR.</summary>
    public struct msr_exit
    {
        public byte error;
        public fixed byte pad[7];
        public uint reason;
        public uint index;
        public ulong data;
    }

    /// <summary>KVM_EXIT_NOTIFY.</summary>
    public struct notify_exit
    {
        public uint flags;
    }

    /// <summary>KVM_EXIT_MEMORY_FAULT (Linux 6.8).</summary>
    public struct memory_fault_exit
    {
        public ulong flags;
        public ulong gpa;
        public ulong size;
    }

    /// <summary>The union <c>s</c> of synchronized registers.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 2048)]
    public struct sync_regs
    {
        [FieldOffset(0)] public kvm_sync_regs regs;
        [FieldOffset(0)] public fixed byte padding[2048];
    }
}
