using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Devices.Pci;

/// <summary>Memory-mapped configuration space (PCIe 3.0 §7.2.2): 4 KiB per function, 1 MiB per bus.</summary>
internal sealed class PciEcam(PciRoot root) : IMmioDevice, ISharedAccessLock
{
    private const ulong FunctionBytes = 4096;
    private const int MaxAccess = 4;

    public Lock AccessLock => root.AccessLock;

    public BusStatus Read(ulong offset, Span<byte> data)
    {
        int register = (int)(offset % FunctionBytes);
        if (Check(offset, register, data.Length) is var status && status != BusStatus.Ok)
            return status;
        root.ReadConfig((int)(offset >> 20), (int)(offset >> 12) & 0xFF, register, data);
        return BusStatus.Ok;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        int register = (int)(offset % FunctionBytes);
        if (Check(offset, register, data.Length) is var status && status != BusStatus.Ok)
            return status;
        root.WriteConfig((int)(offset >> 20), (int)(offset >> 12) & 0xFF, register, data);
        return BusStatus.Ok;
    }

    // Registers are dwords; an access across two of them is nothing a root complex must support.
    private static BusStatus Check(ulong offset, int register, int length)
    {
        if (offset >> 28 != 0)
            return BusStatus.NoRegister;
        if (length > MaxAccess)
            return BusStatus.BadSize;
        return (register & 3) + length > MaxAccess ? BusStatus.Unaligned : BusStatus.Ok;
    }
}
