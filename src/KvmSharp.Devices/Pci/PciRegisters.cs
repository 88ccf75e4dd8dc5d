namespace KvmSharp.Devices.Pci;

/// <summary>Configuration space offsets and bits of a type 0 header (PCI 3.0 §6.1, §6.2).</summary>
public static class PciRegisters
{
    public const int VendorId = 0x00;
    public const int DeviceId = 0x02;
    public const int Command = 0x04;
    public const int Status = 0x06;
    public const int Revision = 0x08;
    public const int ProgrammingInterface = 0x09;
    public const int Subclass = 0x0A;
    public const int BaseClass = 0x0B;
    public const int CacheLineSize = 0x0C;
    public const int LatencyTimer = 0x0D;
    public const int HeaderType = 0x0E;
    public const int Bar0 = 0x10;
    public const int SubsystemVendorId = 0x2C;
    public const int SubsystemId = 0x2E;
    public const int CapabilitiesPointer = 0x34;
    public const int InterruptLine = 0x3C;
    public const int InterruptPin = 0x3D;

    public const int BarCount = 6;

    public const ushort CommandIo = 1 << 0;
    public const ushort CommandMemory = 1 << 1;
    public const ushort CommandBusMaster = 1 << 2;
    public const ushort CommandParity = 1 << 6;
    public const ushort CommandSerr = 1 << 8;
    public const ushort CommandIntxDisable = 1 << 10;

    public const ushort StatusInterrupt = 1 << 3;
    public const ushort StatusCapabilities = 1 << 4;

    /// <summary>Status bits cleared by writing one.</summary>
    public const ushort StatusErrors = 0xF900;

    public const byte HeaderMultiFunction = 0x80;

    public const byte CapabilityMsi = 0x05;
    public const byte CapabilityVendor = 0x09;
    public const byte CapabilityExpress = 0x10;
    public const byte CapabilityMsix = 0x11;
}
