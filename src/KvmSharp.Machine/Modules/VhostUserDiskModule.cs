using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Block;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Disks that other processes serve.</summary>
internal static class VhostUserDiskModule
{
    public static void Attach(BoardContext board, VhostUserDiskConfig config)
    {
        string name = config.Id ?? $"vhost-user-disk{board.Config.IndexOf(config)}";
        var options = new VirtioBlockOptions { Name = name, Queues = config.Queues ?? Math.Min(board.Config.Cpus.Count, DiskConfig.DefaultQueueLimit) };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        VhostUserBackend backend = VhostUserModule.Connect(board, config, name, config.Socket, VhostUserOptions.Disk(options.QueueSize));
        board.Virtio.Attach(config.Virtio, new VhostUserBlock(options, backend, board.IoThreads.Get(config.Virtio, 1)[0], board.Loggers.CreateLogger(name)));
    }
}
