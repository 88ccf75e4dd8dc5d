namespace KvmSharp.Abi.Kvm;

public static partial class KvmConstants
{
    // kvm_run.exit_reason and what refines it
    public const uint KVM_EXIT_HYPERV_SYNIC = 1;
    public const uint KVM_EXIT_HYPERV_HCALL = 2;
    public const uint KVM_EXIT_HYPERV_SYNDBG = 3;
    public const uint KVM_EXIT_UNKNOWN = 0;
    public const uint KVM_EXIT_EXCEPTION = 1;
    public const uint KVM_EXIT_IO = 2;
    public const uint KVM_EXIT_HYPERCALL = 3;
    public const uint KVM_EXIT_DEBUG = 4;
    public const uint KVM_EXIT_HLT = 5;
    public const uint KVM_EXIT_MMIO = 6;
    public const uint KVM_EXIT_IRQ_WINDOW_OPEN = 7;
    public const uint KVM_EXIT_SHUTDOWN = 8;
    public const uint KVM_EXIT_FAIL_ENTRY = 9;
    public const uint KVM_EXIT_INTR = 10;
    public const uint KVM_EXIT_SET_TPR = 11;
    public const uint KVM_EXIT_TPR_ACCESS = 12;
    public const uint KVM_EXIT_DCR = 15;
    public const uint KVM_EXIT_NMI = 16;
    public const uint KVM_EXIT_INTERNAL_ERROR = 17;
    public const uint KVM_EXIT_OSI = 18;
    public const uint KVM_EXIT_WATCHDOG = 21;
    public const uint KVM_EXIT_EPR = 23;
    public const uint KVM_EXIT_SYSTEM_EVENT = 24;
    public const uint KVM_EXIT_IOAPIC_EOI = 26;
    public const uint KVM_EXIT_HYPERV = 27;
    public const uint KVM_EXIT_X86_RDMSR = 29;
    public const uint KVM_EXIT_X86_WRMSR = 30;
    public const uint KVM_EXIT_DIRTY_RING_FULL = 31;
    public const uint KVM_EXIT_AP_RESET_HOLD = 32;
    public const uint KVM_EXIT_X86_BUS_LOCK = 33;
    public const uint KVM_EXIT_NOTIFY = 37;
    public const uint KVM_INTERNAL_ERROR_EMULATION = 1;
    public const uint KVM_INTERNAL_ERROR_SIMUL_EX = 2;
    public const uint KVM_INTERNAL_ERROR_DELIVERY_EV = 3;
    public const uint KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;
    public const uint KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;
    public const uint KVM_EXIT_IO_IN = 0;
    public const uint KVM_EXIT_IO_OUT = 1;
    public const uint KVM_SYSTEM_EVENT_SHUTDOWN = 1;
    public const uint KVM_SYSTEM_EVENT_RESET = 2;
    public const uint KVM_SYSTEM_EVENT_CRASH = 3;
    public const uint KVM_SYSTEM_EVENT_WAKEUP = 4;
    public const uint KVM_SYSTEM_EVENT_SUSPEND = 5;
    public const uint KVM_MSR_EXIT_REASON_INVAL = 1;
    public const uint KVM_MSR_EXIT_REASON_UNKNOWN = 2;
    public const uint KVM_MSR_EXIT_REASON_FILTER = 4;
    public const uint KVM_NOTIFY_CONTEXT_INVALID = 1;
    public const uint KVM_RUN_X86_SMM = 1;
    public const uint KVM_RUN_X86_BUS_LOCK = 2;
    public const uint KVM_EXIT_MEMORY_FAULT = 39;
    public const uint KVM_MEMORY_EXIT_FLAG_PRIVATE = 8;
}
