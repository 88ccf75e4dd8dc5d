namespace KvmSharp.Machine;

/// <summary>
/// Where everything sits in the guest's physical address space, port space and interrupt inputs. The one place that fixes
/// these numbers; ACPI, the e820 map and the buses are built from it.
/// </summary>
public static class MachineLayout
{
    /// <summary>First address of the 32-bit PCI memory window (right above the highest RAM below 4 GiB).</summary>
    public const ulong PciMmio32Start = 0xC000_0000;
    public const ulong PciMmio32End = 0xE000_0000;

    /// <summary>PCI Express ECAM: 1 MiB per bus.</summary>
    public const ulong EcamStart = 0xE000_0000;
    public const int EcamBusCount = 256;

    public const ulong IoApicAddress = 0xFEC0_0000;
    public const ulong LocalApicAddress = 0xFEE0_0000;

    /// <summary>KVM_SET_IDENTITY_MAP_ADDR: one page, and the three pages of KVM_SET_TSS_ADDR behind it.</summary>
    public const ulong IdentityMapAddress = 0xFFFB_C000;
    public const ulong TssAddress = 0xFFFB_D000;

    /// <summary>Registers of virtio-mmio devices on a machine without PCI, a page each, and the inputs they share in turn.</summary>
    public const ulong VirtioMmioStart = 0xFEB0_0000;
    public const int VirtioMmioCount = 32;
    public const uint VirtioMmioFirstGsi = 16;
    public const int VirtioMmioGsiCount = 8;

    /// <summary>The optional test device's memory-like MMIO.</summary>
    public const ulong TestDeviceMmioStart = 0xFF00_0000;
    public const ulong TestDeviceMmioLength = 0x1_0000;

    /// <summary>Extended BIOS data area and above: reserved in the memory map up to 1 MiB; ACPI tables live in the BIOS area.</summary>
    public const ulong EbdaStart = 0x9_FC00;
    public const ulong AcpiStart = 0xE_0000;
    public const ulong AcpiEnd = 0x10_0000;

    // ACPI fixed hardware (ACPI 6.5 §4.8).
    public const ushort PmEventPort = 0x600;
    public const ushort PmControlPort = 0x604;
    public const ushort PmTimerPort = 0x608;
    public const uint SciGsi = 9;

    /// <summary>SLP_TYP that powers off, as \_S5 names it.</summary>
    public const byte S5SleepType = 5;

    /// <summary>Reset control register of PC chipsets; writing 6 resets.</summary>
    public const ushort ResetPort = 0xCF9;

    public const ushort PciConfigAddressPort = 0xCF8;
    public const ushort PciConfigDataPort = 0xCFC;

    /// <summary>PCI I/O window for BARs.</summary>
    public const ushort PciIoStart = 0x1000;
    public const int PciIoLength = 0xF000;

    /// <summary>PCI INTA#..INTD# of slot N reach GSI 16 + (slot + pin) % 4, level, active low... asserted high as KVM sees it.</summary>
    public const uint PciIrqFirstGsi = 16;
    public const int PciIrqCount = 4;
    public const int IoApicPins = 24;

    public static ReadOnlySpan<ushort> SerialPorts => [0x3F8, 0x2F8, 0x3E8, 0x2E8];

    public static ReadOnlySpan<byte> SerialGsis => [4, 3, 4, 3];

    /// <summary>Primary and secondary channel of IDE in legacy mode.</summary>
    public static ReadOnlySpan<ushort> IdeCommandPorts => [0x1F0, 0x170];

    public static ReadOnlySpan<ushort> IdeControlPorts => [0x3F6, 0x376];

    public static ReadOnlySpan<byte> IdeGsis => [14, 15];

    public const ushort RtcPort = 0x70;
    public const uint RtcGsi = 8;
    public const ushort DebugExitPort = 0xF4;
    public const ushort DebugConsolePort = 0xE9;
}
