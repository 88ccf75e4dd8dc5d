namespace KvmSharp.Machine.Config;

/// <summary>Where the interrupt controllers live.</summary>
public enum IrqchipMode
{
    /// <summary>PIC, I/O APIC, PIT and local APICs in the kernel.</summary>
    Kernel,

    /// <summary>Local APICs in the kernel, the I/O APIC in this program (KVM_CAP_SPLIT_IRQCHIP).</summary>
    Split,
}
