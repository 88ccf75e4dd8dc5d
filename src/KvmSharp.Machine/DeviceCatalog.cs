using System.Diagnostics;
using KvmSharp.Machine.Config;
using KvmSharp.Machine.Modules;

namespace KvmSharp.Machine;

/// <summary>The one list of what can be on a board. A new device adds its line here and nothing else outside its own files.</summary>
internal static class DeviceCatalog
{
    /// <summary>What a machine has by its kind and its top-level options, in order of attachment.</summary>
    private static readonly Action<BoardContext>[] Fixed =
    [
        PciModule.Attach,
        ChipsetModule.Attach,
        SerialModule.Attach,
        DebugModule.Attach,
        TestDeviceModule.Attach,
        IdeModule.Attach,
    ];

    public static void AttachAll(BoardContext board)
    {
        foreach (Action<BoardContext> attach in Fixed)
            attach(board);
        foreach (DeviceConfig device in board.Config.Devices)
            Attach(board, device);
    }

    private static void Attach(BoardContext board, DeviceConfig device)
    {
        switch (device)
        {
            case RngConfig rng:
                RngModule.Attach(board, rng);
                break;
            case DiskConfig { Model: DiskModel.Ide }:
                break; // with the others, on their controller
            case DiskConfig disk:
                DiskModule.Attach(board, disk);
                break;
            case VhostUserDiskConfig disk:
                VhostUserDiskModule.Attach(board, disk);
                break;
            case NetConfig { Model: NetModel.E1000 } net:
                E1000Module.Attach(board, net);
                break;
            case VhostUserNetConfig net:
                VhostUserNetModule.Attach(board, net);
                break;
            case FsConfig fs:
                FsModule.Attach(board, fs);
                break;
            case NetConfig net:
                NetModule.Attach(board, net);
                break;
            case ConsoleConfig console:
                ConsoleModule.Attach(board, console);
                break;
            case VirtioPortsConfig ports:
                ConsoleModule.Attach(board, ports);
                break;
            default:
                throw new UnreachableException($"no module for {device.GetType().Name} on board {board.Config.Name}");
        }
    }
}
