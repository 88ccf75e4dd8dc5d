using KvmSharp.Devices.Chipset;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>The ISA debug-exit port and the one-port debug console, each by option.</summary>
internal static class DebugModule
{
    public static void Attach(BoardContext board)
    {
        if (board.Config.DebugExitPort is { } exitPort)
            board.Own(board.Pio.Register(exitPort, DebugExit.PortCount, new DebugExit(board.Control), "debug-exit"));
        if (board.Config.DebugConsole is { Char.Kind: not CharKind.None } console)
        {
            var device = new DebugConsole(board.Chars.Connect("debug-console", console.Char));
            board.Own(board.Pio.Register(console.Port, 1, device, "debug-console"));
        }
    }
}
