namespace KvmSharp.Machine.Config;

/// <summary>Which machine the guest sees.</summary>
public enum MachineKind
{
    /// <summary>PCI host bridge, ECAM, the legacy devices, ACPI.</summary>
    Pc,

    /// <summary>No PCI: devices are virtio-mmio, announced in ACPI.</summary>
    Microvm,
}
