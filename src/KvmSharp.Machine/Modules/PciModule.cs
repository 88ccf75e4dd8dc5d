using KvmSharp.Core.Memory;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Pci;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>The PCI Express root: configuration ports, ECAM, host bridge and the windows for BARs. A microvm has none of it.</summary>
internal static class PciModule
{
    /// <summary>Guests with less physical address space get no 64-bit window.</summary>
    private const ulong Memory64Alignment = 1UL << 30;
    private const ulong Memory64Limit = 64UL << 30;

    /// <summary>Only bus 0 is populated, so only its ECAM is announced: every further bus would cost the guest a scan.</summary>
    private const byte LastBus = 0;

    public static void Attach(BoardContext board)
    {
        var reset = new ResetControl(board.Control);
        if (board.Config.Kind == MachineKind.Microvm)
        {
            board.Own(board.Pio.Register(MachineLayout.ResetPort, 1, reset, "reset"));
            board.Acpi = board.Acpi with { HasPci = false };
            return;
        }

        (ulong start, ulong length) = Memory64Window(board);
        var windows = new PciWindows
        {
            Memory32Start = MachineLayout.PciMmio32Start,
            Memory32Length = MachineLayout.PciMmio32End - MachineLayout.PciMmio32Start,
            Memory64Start = start,
            Memory64Length = length,
            IoStart = MachineLayout.PciIoStart,
            IoLength = MachineLayout.PciIoLength,
        };
        var router = board.Own(new PciInterruptRouter(board.Interrupts, MachineLayout.PciIrqFirstGsi, MachineLayout.PciIrqCount));
        var root = new PciRoot(board.Pio, board.Mmio, windows, router, reset, board.Loggers.CreateLogger("pci"));
        board.Own(board.Pio.Register(MachineLayout.PciConfigAddressPort, PciConfigPorts.PortCount, root.ConfigPorts, "pci-config"));
        board.Own(board.Mmio.Register(MachineLayout.EcamStart, PciRoot.EcamBytesPerBus * (LastBus + 1), root.Ecam, "pci-ecam"));
        root.Attach(PciHostBridge.Address, board.Own(PciHostBridge.Create()));
        board.Pci = root;
        board.Acpi = board.Acpi with { HasPci = true, LastPciBus = LastBus, PciMmio64Start = start, PciMmio64Length = length };
    }

    private static (ulong Start, ulong Length) Memory64Window(BoardContext board)
    {
        ulong ramEnd = board.Memory.Regions[^1].End;
        ulong start = (Math.Max(ramEnd, GuestMemory.HighStart) + Memory64Alignment - 1) & ~(Memory64Alignment - 1);
        ulong limit = 1UL << board.PhysicalAddressBits;
        return start < limit ? (start, Math.Min(limit - start, Memory64Limit)) : (0, 0);
    }
}
