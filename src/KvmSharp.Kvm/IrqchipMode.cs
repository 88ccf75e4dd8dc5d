namespace KvmSharp.Kvm;

/// <summary>Where the machine's interrupt controllers live.</summary>
public enum IrqchipMode
{
    /// <summary>Local APICs, I/O APIC and PICs in the kernel.</summary>
    Kernel,

    /// <summary>Local APICs in the kernel; the I/O APIC is <see cref="Irqchip.IoApic"/>; no PICs and no PIT.</summary>
    Split,

    /// <summary>No interrupt controllers: HLT ends in user space. For bare payloads.</summary>
    None,
}
