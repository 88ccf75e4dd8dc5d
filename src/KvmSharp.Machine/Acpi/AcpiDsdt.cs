namespace KvmSharp.Machine.Acpi;

/// <summary>The DSDT: S5, processors, the host bridge and the legacy devices that exist.</summary>
internal static class AcpiDsdt
{
    private const int PciSlots = 32;
    private const uint OscGranted = 0x1D; // PCIe hot plug, PME, AER, capability structure; not SHPC

    internal static byte[] Build(AcpiConfig config)
    {
        AmlWriter aml = new();
        aml.Name(@"\_S5", AmlTerm.Package(MachineLayout.S5SleepType, MachineLayout.S5SleepType, 0, 0));
        using (aml.Scope(@"\_SB"))
        {
            for (int uid = 0; uid < config.ApicIds.Count; uid++)
                WriteProcessor(aml, uid);
            if (config.HasPci)
                WriteHostBridge(aml, config);
            WriteMotherboard(aml, config);
            foreach (int index in config.SerialPorts)
                WriteSerial(aml, index);
            if (config.HasRtc)
                WriteIsaDevice(aml, "RTC", "PNP0B00", new AmlResources().Io(MachineLayout.RtcPort, 2).Irq((int)MachineLayout.RtcGsi));
            if (config.HasI8042)
            {
                WriteIsaDevice(aml, "PS2K", "PNP0303", new AmlResources().Io(0x60, 1).Io(0x64, 1).Irq(1));
                WriteIsaDevice(aml, "PS2M", "PNP0F13", new AmlResources().Irq(12));
            }

            foreach (IAmlSource device in config.Devices)
                device.WriteAml(aml);
        }

        return new AcpiTable("DSDT"u8, 2).Add(aml.Bytes).Finish();
    }

    private static void WriteProcessor(AmlWriter aml, int uid)
    {
        using AmlWriter.Block device = aml.Device($"C{uid:X3}");
        aml.Name("_HID", AmlTerm.String("ACPI0007"));
        aml.Name("_UID", (uint)uid);
    }

    private static void WriteHostBridge(AmlWriter aml, AcpiConfig config)
    {
        using AmlWriter.Block device = aml.Device("PCI0");
        aml.Name("_HID", AmlTerm.EisaId("PNP0A08"));
        aml.Name("_CID", AmlTerm.EisaId("PNP0A03"));
        aml.Name("_SEG", 0);
        aml.Name("_BBN", 0);
        aml.Name("_UID", 0);
        aml.Name("_CCA", 1);
        AmlResources resources = new AmlResources()
            .WordBusNumber(0, config.LastPciBus)
            .Io(MachineLayout.PciConfigAddressPort, 8)
            .WordIo(MachineLayout.PciIoStart, MachineLayout.PciIoLength)
            .DWordMemory((uint)MachineLayout.PciMmio32Start, (uint)(MachineLayout.PciMmio32End - MachineLayout.PciMmio32Start));
        if (config.HasLegacyPciIo)
            resources.WordIo(0, MachineLayout.PciConfigAddressPort);
        if (config.PciMmio64Length != 0)
            resources.QWordMemory(config.PciMmio64Start, config.PciMmio64Length);
        aml.Name("_CRS", resources.End());
        aml.Name("_PRT", InterruptRouting());
        WriteOsc(aml);
    }

    /// <summary>Every pin of every slot straight to its GSI: no link devices.</summary>
    private static AmlTerm InterruptRouting()
    {
        AmlTerm[] routes = new AmlTerm[PciSlots * 4];
        for (uint i = 0; i < routes.Length; i++)
        {
            uint slot = i / 4, pin = i % 4;
            uint gsi = MachineLayout.PciIrqFirstGsi + ((slot + pin) % MachineLayout.PciIrqCount);
            routes[i] = AmlTerm.Package((slot << 16) | 0xFFFF, pin, 0, gsi);
        }

        return AmlTerm.Package(routes);
    }

    /// <summary>PCI Firmware 3.3 §4.5.1: the guest gets native control of what the devices here may have.</summary>
    private static void WriteOsc(AmlWriter aml)
    {
        AmlTerm buffer = AmlTerm.Arg(3), status = AmlTerm.Name("CDW1"), control = AmlTerm.Name("CDW3");
        using AmlWriter.Block method = aml.Method("_OSC", 4, serialized: true);
        aml.CreateDWordField(buffer, 0, "CDW1");
        using (aml.If(AmlTerm.IsEqual(AmlTerm.Arg(0), AmlTerm.Uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766"))))
        {
            aml.CreateDWordField(buffer, 8, "CDW3");
            aml.Evaluate(AmlTerm.And(control, OscGranted, AmlTerm.Local(0)));
            using (aml.If(AmlTerm.LogicalNot(AmlTerm.IsEqual(AmlTerm.Arg(1), 1))))
                aml.Evaluate(AmlTerm.Or(status, 0x08, status)); // unknown revision
            using (aml.If(AmlTerm.LogicalNot(AmlTerm.IsEqual(control, AmlTerm.Local(0)))))
                aml.Evaluate(AmlTerm.Or(status, 0x10, status)); // some bits were masked
            aml.Store(AmlTerm.Local(0), control);
        }

        using (aml.Else())
            aml.Evaluate(AmlTerm.Or(status, 0x04, status)); // unknown UUID
        aml.Return(buffer);
    }

    /// <summary>What no device driver owns: without this Linux would not trust MCFG and could hand out the ports.</summary>
    private static void WriteMotherboard(AmlWriter aml, AcpiConfig config)
    {
        AmlResources resources = new AmlResources().Io(MachineLayout.PmEventPort, 16).Io(MachineLayout.ResetPort, 1);
        if (config.HasPci)
            resources.Memory32Fixed((uint)MachineLayout.EcamStart, ((uint)config.LastPciBus + 1) << 20);
        WriteIsaDevice(aml, "MBRD", "PNP0C02", resources);
    }

    private static void WriteSerial(AmlWriter aml, int index)
    {
        using AmlWriter.Block device = aml.Device($"COM{index + 1}");
        aml.Name("_HID", AmlTerm.EisaId("PNP0501"));
        aml.Name("_UID", (uint)index + 1);
        aml.Name("_CRS", new AmlResources().Io(MachineLayout.SerialPorts[index], 8).Irq(MachineLayout.SerialGsis[index]).End());
    }

    private static void WriteIsaDevice(AmlWriter aml, string name, string id, AmlResources resources)
    {
        using AmlWriter.Block device = aml.Device(name);
        aml.Name("_HID", AmlTerm.EisaId(id));
        aml.Name("_CRS", resources.End());
    }
}
