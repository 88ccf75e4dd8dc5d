namespace KvmSharp.Devices.Pci;

/// <summary>The read-only identification registers of a function.</summary>
public sealed record PciIdentity
{
    public required ushort VendorId { get; init; }

    public required ushort DeviceId { get; init; }

    public byte Revision { get; init; }

    public required byte BaseClass { get; init; }

    public byte Subclass { get; init; }

    public byte ProgrammingInterface { get; init; }

    public ushort SubsystemVendorId { get; init; }

    public ushort SubsystemId { get; init; }
}
