using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Console;

namespace KvmSharp.Machine.Modules;

/// <summary>
/// The virtio console and the ports for programs in the guest. They are two devices: a console alone on its device needs no control
/// queues, is there early in a boot, and tells its size in a way that every driver understands the same.
/// </summary>
internal static class ConsoleModule
{
    public static void Attach(BoardContext board, ConsoleConfig config)
    {
        var port = new ConsolePortOptions(0, board.Chars.Connect("console", config.Char)) { IsConsole = true };
        Attach(board, config, new VirtioConsoleOptions { Name = config.Id ?? "console", Ports = [port] });
    }

    public static void Attach(BoardContext board, VirtioPortsConfig config)
    {
        var ports = new ConsolePortOptions[config.Ports.Count];
        for (int i = 0; i < ports.Length; i++)
        {
            VirtioPortConfig port = config.Ports[i];
            // Port 0 is the one that drivers without multiport support take for a console.
            ports[i] = new ConsolePortOptions((uint)i + 1, board.Chars.Connect($"port {port.Name}", port.Char)) { IsConsole = port.IsConsole, PortName = port.Name };
        }

        Attach(board, config, new VirtioConsoleOptions { Name = config.Id ?? "ports", Multiport = true, Ports = ports });
    }

    private static void Attach(BoardContext board, VirtioConfig config, VirtioConsoleOptions options)
    {
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        board.Virtio.Attach(config.Virtio, new VirtioConsoleDevice(options, board.IoThreads.Get(config.Virtio, 1)[0]));
    }
}
