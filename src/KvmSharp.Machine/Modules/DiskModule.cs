using KvmSharp.Backends.Block;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Machine.Modules;

/// <summary>Disks.</summary>
internal static class DiskModule
{
    public static void Attach(BoardContext board, DiskConfig config)
    {
        int index = board.Config.Devices.OfType<DiskConfig>().TakeWhile(d => !ReferenceEquals(d, config)).Count();
        IReadOnlyList<EventLoop> loops = board.Virtio.GetIoThreads(config.IoThread, config.Queues);
        RawImage image = board.HostEnds.Get(config, () => RawImage.Open(new RawImageOptions
        {
            Path = config.Path, ReadOnly = config.ReadOnly, Cache = config.Cache, Engine = config.Engine, Discard = config.Discard,
        }));
        var options = new VirtioBlockOptions { Name = config.Id ?? $"disk{index}", Serial = config.Serial, Queues = config.Queues };
        board.Virtio.Attach(new VirtioBlock(options, new BorrowedBlockBackend(image), loops));
    }
}
