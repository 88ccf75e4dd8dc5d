using KvmSharp.Backends.Vhost.User;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.FileSystem;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>File systems that other processes serve.</summary>
internal static class FsModule
{
    public static void Attach(BoardContext board, FsConfig config)
    {
        string name = config.Id ?? $"fs{board.Config.IndexOf(config)}";
        var options = new VirtioFsOptions { Name = name, Tag = config.Tag, Queues = config.Queues };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        VhostUserBackend backend = VhostUserModule.Connect(board, config, name, config.Socket, VhostUserOptions.FileSystem(options.QueueSize));
        board.Virtio.Attach(config.Virtio, new VhostUserFs(options, backend, board.IoThreads.Get(config.Virtio, 1)[0], board.Loggers.CreateLogger(name)));
    }
}
