using System.Buffers.Binary;

namespace KvmSharp.Machine.Acpi;

/// <summary>FACS, FADT, MADT and MCFG (ACPI 6.3 §5.2, PCI Firmware 3.3 §4.1.2).</summary>
internal static class AcpiFixedTables
{
    internal const int FacsLength = 64;
    private const byte LocalApic = 0, IoApic = 1, SourceOverride = 2, LocalApicNmi = 4, LocalX2Apic = 9, LocalX2ApicNmi = 10;
    private const uint FirstX2ApicId = 255;
    private const ushort LevelActiveHigh = 0x0D;

    internal static byte[] Facs()
    {
        byte[] facs = new byte[FacsLength];
        "FACS"u8.CopyTo(facs);
        BinaryPrimitives.WriteUInt32LittleEndian(facs.AsSpan(4), FacsLength);
        facs[32] = 2; // version
        return facs;
    }

    internal static byte[] Fadt(AcpiConfig config, uint facs, uint dsdt)
    {
        // IA-PC boot flags: 0 legacy devices, 1 8042, 2 no VGA, 5 no CMOS RTC. What is absent is not probed.
        ushort bootFlags = (ushort)((config.SerialPorts.Count > 0 ? 1 : 0) | (config.HasI8042 ? 2 : 0) | 4 | (config.HasRtc ? 0 : 0x20));

        // WBINVD, C1 on all, no fixed sleep button, no RTC wake in fixed registers, 32-bit timer, reset register. The power button is fixed hardware (bit 4 clear).
        uint flags = 1u | 1 << 2 | 1 << 5 | 1 << 6 | (config.PmTimer32Bit && config.HasPmTimer ? 1u << 8 : 0) | 1 << 10;
        ushort timer = config.HasPmTimer ? MachineLayout.PmTimerPort : (ushort)0;
        AcpiTable t = new("FACP"u8, 6);
        t.Add32(facs).Add32(dsdt).Add8(0);
        t.Add8(0); // preferred profile: unspecified
        t.Add16((ushort)MachineLayout.SciGsi);
        t.Add32(0).Add32(0); // no SMI command port: always in ACPI mode
        t.Add32(MachineLayout.PmEventPort).Add32(0).Add32(MachineLayout.PmControlPort).Add32(0).Add32(0).Add32(timer).Add32(0).Add32(0);
        t.Add8(4).Add8(2).Add8(0).Add8(timer == 0 ? (byte)0 : (byte)4).Add8(0).Add8(0).Add8(0).Add8(0);
        t.Add16(0x0FFF).Add16(0x0FFF); // C2 and C3 latency above the limits: not supported
        t.Add16(0).Add16(0).Add8(0).Add8(0); // WBINVD works; no duty cycle
        t.Add8(0).Add8(0).Add8(config.HasRtc ? (byte)0x32 : (byte)0); // no day or month alarm; century
        t.Add16(bootFlags).Add8(0).Add32(flags);
        t.AddPort(MachineLayout.ResetPort, 8, 1).Add8(6); // reset register and value
        t.Add16(0).Add8(3); // no Arm flags; minor version
        t.Add64(0).Add64(dsdt); // the FACS is below 4 GiB and given above
        t.AddPort(MachineLayout.PmEventPort, 32, 2).AddPort(0, 0, 0).AddPort(MachineLayout.PmControlPort, 16, 2).AddPort(0, 0, 0);
        t.AddPort(0, 0, 0).AddPort(timer, 32, 3).AddPort(0, 0, 0).AddPort(0, 0, 0);
        t.AddPort(0, 0, 0).AddPort(0, 0, 0); // sleep control and status: hardware-reduced only
        t.Add64(0); // hypervisor vendor identity
        return t.Finish();
    }

    internal static byte[] Madt(AcpiConfig config)
    {
        AcpiTable t = new("APIC"u8, 5);
        t.Add32((uint)MachineLayout.LocalApicAddress).Add32(config.HasPic ? 1u : 0);
        bool x2 = false;
        for (int uid = 0; uid < config.ApicIds.Count; uid++)
        {
            uint id = config.ApicIds[uid];
            if (id < FirstX2ApicId && uid < FirstX2ApicId)
            {
                t.Add8(LocalApic).Add8(8).Add8((byte)uid).Add8((byte)id).Add32(1);
                continue;
            }

            t.Add8(LocalX2Apic).Add8(16).Add16(0).Add32(id).Add32(1).Add32((uint)uid);
            x2 = true;
        }

        t.Add8(IoApic).Add8(12).Add8(0).Add8(0).Add32((uint)MachineLayout.IoApicAddress).Add32(0);
        t.Add8(SourceOverride).Add8(10).Add8(0).Add8(0).Add32(2).Add16(0); // the timer's IRQ 0 is on pin 2
        t.Add8(SourceOverride).Add8(10).Add8(0).Add8((byte)MachineLayout.SciGsi).Add32(MachineLayout.SciGsi).Add16(LevelActiveHigh);
        t.Add8(LocalApicNmi).Add8(6).Add8(0xFF).Add16(0).Add8(1); // all processors, LINT1
        if (x2)
            t.Add8(LocalX2ApicNmi).Add8(12).Add16(0).Add32(0xFFFF_FFFF).Add8(1).Add8(0).Add16(0);
        return t.Finish();
    }

    internal static byte[] Mcfg(AcpiConfig config)
    {
        AcpiTable t = new("MCFG"u8, 1);
        t.Add64(0).Add64(MachineLayout.EcamStart).Add16(0).Add8(0).Add8(config.LastPciBus).Add32(0);
        return t.Finish();
    }
}
