using KvmSharp.Core.Chars;
using KvmSharp.Devices.Chipset;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>The ISA debug-exit port and the one-port debug console, each by option.</summary>
internal static class DebugModule
{
    public static void Attach(BoardContext board)
    {
        if (board.Config.DebugExitPort is { } exitPort)
            board.Claim(exitPort, DebugExit.PortCount, new DebugExit(board.Control), "debug-exit");
        if (board.Config.DebugConsole is { Char.Kind: not CharKind.None } console)
        {
            ICharBackend connection = board.Own(board.Chars.Connect("debug-console", console.Char));
            var device = new DebugConsole(connection);
            board.Claim(console.Port, 1, device, "debug-console");
        }
    }
}
