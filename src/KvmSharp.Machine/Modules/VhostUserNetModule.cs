using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Network interfaces whose packets other processes carry.</summary>
internal static class VhostUserNetModule
{
    public static void Attach(BoardContext board, VhostUserNetConfig config)
    {
        string name = NetModule.NameOf(board, config);
        ILogger logger = board.Loggers.CreateLogger(name);
        VhostUserModule.RequireSharedMemory(board, name);
        if (config.Server && board.HostEnds.Host.IsRehearsal)
        {
            // What the guest would see depends on a process that nobody waits for now.
            new UnixListener(config.Socket).Dispose();
            return;
        }

        VirtioNetOptions options = NetModule.OptionsOf(board, config, logger);
        VhostUserNet end = board.HostEnds.Get(config, () => Open(board, config, options));
        EventLoop loop = board.IoThreads.Get(config.Virtio, 1)[0];
        board.Virtio.Attach(config.Virtio, new VhostUserNetDevice(options, end.Backend, new BorrowedNetBackend(end), loop));
    }

    private static VhostUserNet Open(BoardContext board, VhostUserNetConfig config, VirtioNetOptions device)
    {
        VhostUserOptions options = VhostUserOptions.Net(device.QueueSize, config.Mtu);
        VhostUserBackend backend = config.Server
            ? VhostUserBackend.Accept(config.Socket, options, message => device.Logger.LogWarning("{Message}", message), board.HostEnds.Host.Stop, board.HostEnds.Paths)
            : VhostUserBackend.Connect(config.Socket, options, board.HostEnds.Paths);
        return new VhostUserNet(backend, config.Queues, config.Mtu);
    }
}
