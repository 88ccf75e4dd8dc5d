namespace KvmSharp.Machine.Boot;

/// <summary>Types of the e820 map; PVH and Multiboot use the same numbers (ACPI 6.5 §15.1).</summary>
public enum BootMemoryType : uint
{
    Ram = 1,
    Reserved = 2,
    AcpiReclaimable = 3,
    AcpiNvs = 4,
    Unusable = 5,
}
