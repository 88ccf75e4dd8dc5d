using KvmSharp.Core.Memory;
using KvmSharp.Devices.Chipset;

namespace KvmSharp.Machine.Modules;

/// <summary>The legacy PC parts every board has: ACPI power management, RTC, keyboard controller, reset and system control ports.</summary>
internal static class ChipsetModule
{
    public static void Attach(BoardContext board)
    {
        AttachPowerManagement(board);
        AttachRtc(board);

        var keyboard = new I8042(board.Control);
        board.Own(board.Pio.Register(I8042.DataPortNumber, 1, keyboard.DataPort, "i8042"));
        board.Own(board.Pio.Register(I8042.CommandPortNumber, 1, keyboard.CommandPort, "i8042"));
        board.Own(board.Pio.Register(SystemControlA.Port, 1, new SystemControlA(board.Control), "port92"));
        board.Own(board.Pio.Register(SystemControlB.Port, 1, new SystemControlB(), "port61"));
        board.Own(board.Pio.Register(PvPanic.DefaultPort, 1, new PvPanic(board.Control), "pvpanic"));
        board.Describe(new PvPanicAml());
    }

    private static void AttachPowerManagement(BoardContext board)
    {
        var pm = new AcpiPm(board.Interrupts.GetLine(MachineLayout.SciGsi), board.Control, MachineLayout.S5SleepType);
        board.Own(pm);
        board.Own(board.Pio.Register(MachineLayout.PmEventPort, AcpiPm.PortCount, pm, "acpi-pm"));
        board.PowerManagement = pm;
    }

    private static void AttachRtc(BoardContext board)
    {
        ulong size = board.Memory.SizeBytes;
        ulong low = Math.Min(size, GuestMemory.LowLimit);
        var options = new RtcOptions { LowMemoryBytes = low, HighMemoryBytes = size - low };
        var rtc = new Rtc(board.Interrupts.GetLine(MachineLayout.RtcGsi), options);
        board.Own(rtc);
        board.Own(board.Pio.Register(MachineLayout.RtcPort, Rtc.PortCount, rtc, "rtc"));
    }
}
