using KvmSharp.Devices.Test;

namespace KvmSharp.Machine.Modules;

/// <summary>The test device for bare test kernels, by option.</summary>
internal static class TestDeviceModule
{
    public static void Attach(BoardContext board)
    {
        if (board.Config.TestDevice)
            board.Own(new TestDevice(board.Pio, board.Mmio, board.Interrupts, board.PageDropper, MachineLayout.TestDeviceMmioStart));
    }
}
