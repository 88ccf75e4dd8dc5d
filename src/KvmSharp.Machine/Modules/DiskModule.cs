using KvmSharp.Backends.Block;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Machine.Modules;

/// <summary>Disks of virtio.</summary>
internal static class DiskModule
{
    public static void Attach(BoardContext board, DiskConfig config)
    {
        int queues = config.Queues ?? Math.Min(board.Config.Cpus.Count, DiskConfig.DefaultQueueLimit);
        IBlockBackend backend = DiskImages.Borrow(board, config);
        IReadOnlyList<EventLoop> loops = board.IoThreads.Get(config.Virtio, queues, pollsByWakeCost: true);
        var options = new VirtioBlockOptions { Name = DiskImages.NameOf(board, config), Serial = config.Serial, Queues = queues };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        board.Virtio.Attach(config.Virtio, new VirtioBlock(options, backend, loops));
    }
}
