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
        int index = board.Config.IndexOf(config);
        int queues = config.Queues ?? Math.Min(board.Config.Cpus.Count, DiskConfig.DefaultQueueLimit);
        RawImage image = board.HostEnds.Get(config, () => RawImage.Open(new RawImageOptions
        {
            Path = config.Path, ReadOnly = config.ReadOnly, Cache = config.Cache, Engine = config.Engine, Discard = config.Discard,
        }));
        BlockLimits limits = Limit(image, config);
        IReadOnlyList<EventLoop> loops = board.IoThreads.Get(config.Virtio, queues);
        var options = new VirtioBlockOptions { Name = config.Id ?? $"disk{index}", Serial = config.Serial, Queues = queues };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        board.Virtio.Attach(config.Virtio, new VirtioBlock(options, new BorrowedBlockBackend(image, limits), loops));
    }

    /// <summary>What of the image's abilities the guest sees.</summary>
    private static BlockLimits Limit(RawImage image, DiskConfig config)
    {
        BlockLimits limits = image.Limits;
        uint logical = (uint)(config.LogicalBlockSize ?? (int)limits.LogicalBlockSize);
        if (logical < limits.LogicalBlockSize)
        {
            throw new ConfigException(
                $"--disk {Printable.Line(config.Path)}: logical_block_size {logical} is smaller than the image's {limits.LogicalBlockSize} bytes",
                config.Cache is BlockCacheMode.None or BlockCacheMode.Directsync ? "use cache=writeback, or leave logical_block_size out" : "leave it out");
        }

        if (image.CapacityBytes % logical != 0)
            throw new ConfigException($"--disk {Printable.Line(config.Path)}: its {image.CapacityBytes} bytes are not a multiple of logical_block_size {logical}", "use a smaller one, or resize the image");
        return limits with
        {
            LogicalBlockSize = logical,
            PhysicalBlockSize = Math.Max((uint)(config.PhysicalBlockSize ?? (int)limits.PhysicalBlockSize), logical),
            SupportsWriteZeroes = limits.SupportsWriteZeroes && config.WriteZeroes,
        };
    }
}
