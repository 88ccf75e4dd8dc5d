using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Emulated.Net.E1000;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Network interfaces that are an Intel 82540EM.</summary>
internal static class E1000Module
{
    public static void Attach(BoardContext board, NetConfig config)
    {
        string name = NetModule.NameOf(board, config);
        if (board.Pci is null)
            throw new ConfigException($"{name}: a microvm has no PCI and so no e1000", "use model=virtio, or --machine pc");
        INetBackend tap = board.HostEnds.Get(config, () => board.HostEnds.Host.OpenTap(NetModule.TapOf(config)));
        var options = new E1000Options { Name = name, Mac = NetModule.MacOf(board, config), Logger = board.Loggers.CreateLogger(name) };
        EventLoop loop = board.IoThreads.Get(config.Virtio, 1)[0];
        var device = new E1000Device(options, new BorrowedNetBackend(tap), board.Memory, loop);
        board.AttachToPci(board.Own(device).Function);
        if (config.PinIrqFd)
            device.Function.Intx!.Resample(loop);
    }
}
