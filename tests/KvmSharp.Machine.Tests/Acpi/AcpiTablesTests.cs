using System.Buffers.Binary;
using System.Text;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Tests.Acpi;

public sealed class AcpiTablesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(64)]
    [InlineData(300)]
    public void Build_AnyCpuCount_IaslFindsNothing(int cpus)
    {
        using Iasl iasl = new();
        Assert.Empty(iasl.RoundTrip(AcpiTables.Build(Config(cpus))));
        Assert.Equal(cpus, iasl.Dsl("DSDT").Split("\"ACPI0007\"").Length - 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Build_AnySerialCount_IaslFindsNothing(int count)
    {
        using Iasl iasl = new();
        Assert.Empty(iasl.RoundTrip(AcpiTables.Build(Config(1) with { SerialPorts = [.. Enumerable.Range(0, count)] })));
        Assert.Equal(count, iasl.Dsl("DSDT").Split("PNP0501").Length - 1);
    }

    [Fact]
    public void Build_EveryOption_IaslFindsNothing()
    {
        using Iasl iasl = new();
        AcpiConfig config = Config(2) with { HasI8042 = true, HasLegacyPciIo = true, LastPciBus = 255, PciMmio64Start = 1UL << 38, PciMmio64Length = 1UL << 38, Devices = [new Sample()] };
        Assert.Empty(iasl.RoundTrip(AcpiTables.Build(config)));
        string dsl = iasl.Dsl("DSDT");
        Assert.Contains("LNRO0005", dsl, StringComparison.Ordinal);
        Assert.Contains("0x0000004000000000,", dsl, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_NothingOptional_IaslFindsNothing()
    {
        using Iasl iasl = new();
        AcpiTables tables = AcpiTables.Build(Config(1) with { HasPic = false, HasPci = false, HasRtc = false, HasPmTimer = false, SerialPorts = [] });
        Assert.Empty(iasl.RoundTrip(tables));
        Assert.DoesNotContain(tables.Tables, t => t.Signature == "MCFG");
        Assert.DoesNotContain("PNP0B00", iasl.Dsl("DSDT"), StringComparison.Ordinal);
    }

    [Fact]
    public void Build_EveryTable_SumsToZeroAndIsReachable()
    {
        AcpiTables tables = AcpiTables.Build(Config(3));
        ReadOnlySpan<byte> image = tables.Image.Span;
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(image[..8]));
        Assert.Equal(0, Sum(image[..20]));
        Assert.Equal(0, Sum(image[..36]));
        AcpiTableInfo xsdt = tables.Tables.Single(t => t.Signature == "XSDT");
        Assert.Equal(xsdt.Address, BinaryPrimitives.ReadUInt64LittleEndian(image[24..]));
        foreach (AcpiTableInfo table in tables.Tables.Where(t => t.Signature != "FACS"))
        {
            ReadOnlySpan<byte> bytes = image.Slice((int)(table.Address - MachineLayout.AcpiStart), table.Length);
            Assert.Equal(table.Signature, Encoding.ASCII.GetString(bytes[..4]));
            Assert.Equal((uint)table.Length, BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
            Assert.Equal(0, Sum(bytes));
        }

        Assert.Equal(0UL, tables.Tables.Single(t => t.Signature == "FACS").Address % 64);
    }

    [Theory]
    [InlineData(false, false, 0x25)]
    [InlineData(true, false, 0x05)]
    [InlineData(true, true, 0x07)]
    public void Build_LegacyDevices_FadtTellsWhatNotToProbe(bool rtc, bool i8042, int expected)
    {
        ReadOnlySpan<byte> fadt = Table(AcpiTables.Build(Config(1) with { HasRtc = rtc, HasI8042 = i8042 }), "FACP");
        Assert.Equal(276, fadt.Length);
        Assert.Equal(expected, BinaryPrimitives.ReadUInt16LittleEndian(fadt[109..]));
        Assert.Equal(0UL, fadt[112] & 0x10u); // the power button is fixed hardware
        Assert.Equal(MachineLayout.ResetPort, BinaryPrimitives.ReadUInt64LittleEndian(fadt[120..]));
        Assert.Equal(6, fadt[128]);
    }

    [Fact]
    public void Build_ApicIdsAbove254_AreX2ApicEntries()
    {
        ReadOnlySpan<byte> madt = Table(AcpiTables.Build(Config(1) with { ApicIds = [0, 300] }), "APIC");
        Assert.Equal(0, madt[44]);
        Assert.Equal(9, madt[52]);
        Assert.Equal(300u, BinaryPrimitives.ReadUInt32LittleEndian(madt[56..]));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(madt[64..]));
    }

    [Fact]
    public void Build_TooManyCpus_SaysSo()
    {
        BootException e = Assert.Throws<BootException>(() => AcpiTables.Build(Config(4096)));
        Assert.Contains("fewer CPUs", e.Message, StringComparison.Ordinal);
    }

    private static AcpiConfig Config(int cpus) => new() { ApicIds = [.. Enumerable.Range(0, cpus).Select(i => (uint)i)] };

    private static ReadOnlySpan<byte> Table(AcpiTables tables, string signature)
    {
        AcpiTableInfo table = tables.Tables.Single(t => t.Signature == signature);
        return tables.Image.Span.Slice((int)(table.Address - MachineLayout.AcpiStart), table.Length);
    }

    private static byte Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
            sum += b;
        return sum;
    }

    private sealed class Sample : IAmlSource
    {
        public void WriteAml(AmlWriter writer)
        {
            using AmlWriter.Block device = writer.Device("VM00");
            writer.Name("_HID", AmlTerm.String("LNRO0005"));
            writer.Name("_UID", 0);
            writer.Name("_CRS", new AmlResources().Memory32Fixed(0xFEB0_0000, 0x1000).Interrupt(20, level: true, activeLow: false, shared: true).End());
            writer.Region("REGS", systemIo: false, 0xFEB0_0000, 0x10);
            writer.Fields("REGS", 32, "RGA", "RGB");
            using AmlWriter.Block method = writer.Method("_STA", 0);
            using (writer.If(AmlTerm.LogicalAnd(AmlTerm.IsLess(AmlTerm.Name("RGA"), 5), AmlTerm.LogicalOr(AmlTerm.Name("RGB"), 1))))
                writer.Return(AmlTerm.Subtract(AmlTerm.Add(AmlTerm.Name("RGA"), 3), 1));
            writer.Return(0xF);
        }
    }
}
