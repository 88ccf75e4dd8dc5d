using KvmSharp.Devices.Test;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>The test device for bare test kernels, by option.</summary>
internal static class TestDeviceModule
{
    public static void Attach(BoardContext board)
    {
        if (!board.Config.TestDevice)
            return;
        try
        {
            board.Own(new TestDevice(board.Pio, board.Mmio, board.Interrupts, board.PageDropper, MachineLayout.TestDeviceMmioStart));
        }
        catch (ArgumentException e)
        {
            // Its ports are fixed: whatever is in the way was put there by the user.
            throw new ConfigException(e.Message, "choose another port for what is in the test device's way");
        }
    }
}
