using System.Buffers.Binary;
using KvmSharp.Core.Memory;
using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Acpi;

/// <summary>
/// The guest's ACPI tables (ACPI 6.3), laid out from <see cref="MachineLayout.AcpiStart"/>. The RSDP comes first, so guests
/// that search the BIOS area find it too.
/// </summary>
public sealed class AcpiTables
{
    private const int RsdpLength = 36;
    private const int TableAlignment = 16;
    private const int FacsAlignment = 64;

    private readonly List<byte> _image = [];
    private readonly List<AcpiTableInfo> _tables = [];

    private AcpiTables()
    {
    }

    /// <summary>Guest physical address of the RSDP.</summary>
    public static ulong RsdpAddress => MachineLayout.AcpiStart;

    /// <summary>All tables behind the RSDP, in layout order.</summary>
    public IReadOnlyList<AcpiTableInfo> Tables => _tables;

    /// <summary>The bytes from <see cref="MachineLayout.AcpiStart"/> on.</summary>
    public ReadOnlyMemory<byte> Image { get; private set; }

    /// <summary>Builds the tables. Throws <see cref="BootException"/> when they outgrow the BIOS area.</summary>
    public static AcpiTables Build(AcpiConfig config)
    {
        AcpiTables tables = new();
        tables._image.AddRange(new byte[RsdpLength]);
        uint facs = tables.Place("FACS", AcpiFixedTables.Facs(), FacsAlignment);
        uint dsdt = tables.Place("DSDT", AcpiDsdt.Build(config), TableAlignment);
        List<uint> roots =
        [
            tables.Place("FACP", AcpiFixedTables.Fadt(config, facs, dsdt), TableAlignment),
            tables.Place("APIC", AcpiFixedTables.Madt(config), TableAlignment),
        ];
        if (config.HasPci)
            roots.Add(tables.Place("MCFG", AcpiFixedTables.Mcfg(config), TableAlignment));
        AcpiTable xsdt = new("XSDT"u8, 1);
        foreach (uint root in roots)
            xsdt.Add64(root);
        uint xsdtAddress = tables.Place("XSDT", xsdt.Finish(), TableAlignment);

        byte[] image = [.. tables._image];
        ulong room = MachineLayout.AcpiEnd - MachineLayout.AcpiStart;
        if ((ulong)image.Length > room)
            throw new BootException($"the ACPI tables take {image.Length} bytes but only {room} are reserved; use fewer CPUs or devices");
        WriteRsdp(image, xsdtAddress);
        tables.Image = image;
        return tables;
    }

    /// <summary>Copies the tables into guest RAM, before the guest runs.</summary>
    public void WriteTo(GuestMemory memory)
    {
        if (!memory.TryWrite(new(MachineLayout.AcpiStart), Image.Span))
            throw new BootException("guest memory ends below 1 MiB, where the ACPI tables go; give the guest more memory");
    }

    private uint Place(string signature, byte[] table, int alignment)
    {
        while (_image.Count % alignment != 0)
            _image.Add(0);
        uint address = (uint)MachineLayout.AcpiStart + (uint)_image.Count;
        _tables.Add(new(signature, address, table.Length));
        _image.AddRange(table);
        return address;
    }

    private static void WriteRsdp(Span<byte> rsdp, uint xsdt)
    {
        rsdp = rsdp[..RsdpLength];
        "RSD PTR "u8.CopyTo(rsdp);
        "KVMSHP"u8.CopyTo(rsdp[9..]);
        rsdp[15] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(rsdp[20..], RsdpLength);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp[24..], xsdt);
        rsdp[8] = AcpiTable.Checksum(rsdp[..20]);
        rsdp[32] = AcpiTable.Checksum(rsdp);
    }
}
