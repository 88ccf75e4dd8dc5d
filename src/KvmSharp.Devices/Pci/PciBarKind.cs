namespace KvmSharp.Devices.Pci;

/// <summary>What a base address register decodes (PCI 3.0 §6.2.5.1).</summary>
public enum PciBarKind
{
    Memory32,

    /// <summary>Takes two registers.</summary>
    Memory64,

    /// <summary>Takes two registers; reads have no side effects.</summary>
    Memory64Prefetchable,
    Io,
}
