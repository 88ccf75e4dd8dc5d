using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm;

/// <summary>A KVM extension this program knows: its kernel name and number, whether it cannot do without, and what it is for.</summary>
public sealed record KvmCapability(string Name, uint Number, bool Required, string Purpose)
{
    /// <summary>Every extension that is used, the required ones first.</summary>
    public static IReadOnlyList<KvmCapability> All { get; } =
    [
        new(nameof(KVM_CAP_USER_MEMORY), KVM_CAP_USER_MEMORY, true, "guest memory"),
        new(nameof(KVM_CAP_IMMEDIATE_EXIT), KVM_CAP_IMMEDIATE_EXIT, true, "stopping a vCPU without a lost wake-up"),
        new(nameof(KVM_CAP_IRQCHIP), KVM_CAP_IRQCHIP, true, "interrupt controllers in the kernel"),
        new(nameof(KVM_CAP_IRQ_ROUTING), KVM_CAP_IRQ_ROUTING, true, "message-signalled interrupts"),
        new(nameof(KVM_CAP_IRQFD), KVM_CAP_IRQFD, true, "interrupts from eventfds"),
        new(nameof(KVM_CAP_IOEVENTFD), KVM_CAP_IOEVENTFD, true, "doorbells"),
        new(nameof(KVM_CAP_SIGNAL_MSI), KVM_CAP_SIGNAL_MSI, true, "message-signalled interrupts"),
        new(nameof(KVM_CAP_EXT_CPUID), KVM_CAP_EXT_CPUID, true, "the guest's CPUID"),
        new(nameof(KVM_CAP_MP_STATE), KVM_CAP_MP_STATE, true, "starting processors"),
        new(nameof(KVM_CAP_VCPU_EVENTS), KVM_CAP_VCPU_EVENTS, true, "saving processors"),
        new(nameof(KVM_CAP_XSAVE), KVM_CAP_XSAVE, true, "saving processors"),
        new(nameof(KVM_CAP_DEBUGREGS), KVM_CAP_DEBUGREGS, true, "saving processors"),
        new(nameof(KVM_CAP_SET_TSS_ADDR), KVM_CAP_SET_TSS_ADDR, true, "real mode on Intel processors"),
        new(nameof(KVM_CAP_SET_IDENTITY_MAP_ADDR), KVM_CAP_SET_IDENTITY_MAP_ADDR, true, "real mode on Intel processors"),
        new(nameof(KVM_CAP_ADJUST_CLOCK), KVM_CAP_ADJUST_CLOCK, true, "the guest's clock"),
        new(nameof(KVM_CAP_XCRS), KVM_CAP_XCRS, false, "extended states of processors; absent where the host has no XSAVE"),
        new(nameof(KVM_CAP_PIT2), KVM_CAP_PIT2, false, "the 8254 timer in the kernel"),
        new(nameof(KVM_CAP_SPLIT_IRQCHIP), KVM_CAP_SPLIT_IRQCHIP, false, "the I/O APIC outside the kernel (split irqchip)"),
        new(nameof(KVM_CAP_IOEVENTFD_ANY_LENGTH), KVM_CAP_IOEVENTFD_ANY_LENGTH, false, "doorbells of any width"),
        new(nameof(KVM_CAP_TSC_DEADLINE_TIMER), KVM_CAP_TSC_DEADLINE_TIMER, false, "the guest's precise timer"),
        new(nameof(KVM_CAP_GET_TSC_KHZ), KVM_CAP_GET_TSC_KHZ, false, "telling the guest its clock rate"),
        new(nameof(KVM_CAP_X86_USER_SPACE_MSR), KVM_CAP_X86_USER_SPACE_MSR, false, "model-specific registers of our own"),
        new(nameof(KVM_CAP_X86_MSR_FILTER), KVM_CAP_X86_MSR_FILTER, false, "model-specific registers of our own"),
        new(nameof(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2), KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, false, "cheap dirty page logging"),
        new(nameof(KVM_CAP_DIRTY_LOG_RING), KVM_CAP_DIRTY_LOG_RING, false, "dirty page rings"),
        new(nameof(KVM_CAP_SET_GUEST_DEBUG), KVM_CAP_SET_GUEST_DEBUG, false, "debugging guests"),
        new(nameof(KVM_CAP_XSAVE2), KVM_CAP_XSAVE2, false, "large vector registers"),
        new(nameof(KVM_CAP_SREGS2), KVM_CAP_SREGS2, false, "saving page directory pointers"),
        new(nameof(KVM_CAP_IRQFD_RESAMPLE), KVM_CAP_IRQFD_RESAMPLE, false, "level interrupts by irqfd"),
        new(nameof(KVM_CAP_READONLY_MEM), KVM_CAP_READONLY_MEM, false, "read-only memory"),
    ];
}
