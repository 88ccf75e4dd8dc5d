namespace KvmSharp.Machine.Acpi;

/// <summary>What the tables describe. Addresses not listed here are those of <see cref="MachineLayout"/>.</summary>
public sealed record AcpiConfig
{
    /// <summary>APIC ids, the boot processor's first; a processor's ACPI UID is its index.</summary>
    public required IReadOnlyList<uint> ApicIds { get; init; }

    /// <summary>An 8259 pair exists (in-kernel irqchip); false for a split irqchip. MADT PCAT_COMPAT.</summary>
    public bool HasPic { get; init; } = true;

    /// <summary>A PCI host bridge with ECAM exists.</summary>
    public bool HasPci { get; init; } = true;

    /// <summary>Last bus of the host bridge: MCFG and the bridge's bus range end here. 0 spares the guest's scan of empty buses.</summary>
    public byte LastPciBus { get; init; }

    /// <summary>PCI functions answer at ports of old that no BAR holds: the host bridge passes on what is below its configuration ports.</summary>
    public bool HasLegacyPciIo { get; init; }

    /// <summary>64-bit window for BARs above RAM; length 0 for none.</summary>
    public ulong PciMmio64Start { get; init; }

    public ulong PciMmio64Length { get; init; }

    /// <summary>COM1-COM4 as indices 0-3 of <see cref="MachineLayout.SerialPorts"/>.</summary>
    public IReadOnlyList<int> SerialPorts { get; init; } = [0];

    /// <summary>An MC146818 exists; otherwise the FADT says so and the guest does not touch ports 0x70-0x71.</summary>
    public bool HasRtc { get; init; } = true;

    /// <summary>An i8042 exists; otherwise the guest does not probe ports 0x60 and 0x64.</summary>
    public bool HasI8042 { get; init; }

    /// <summary>The PM timer exists.</summary>
    public bool HasPmTimer { get; init; } = true;

    /// <summary>The PM timer counts 32 bits, not 24.</summary>
    public bool PmTimer32Bit { get; init; } = true;

    /// <summary>Devices that add their own AML.</summary>
    public IReadOnlyList<IAmlSource> Devices { get; init; } = [];
}
