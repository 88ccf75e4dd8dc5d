using KvmSharp.Backends.Block;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>Opens what disks of every model are made of, so that they differ in nothing behind their registers.</summary>
public static class DiskImages
{
    /// <summary>The image, open, the caller's.</summary>
    public static RawImage Open(DiskConfig config) => RawImage.Open(new RawImageOptions
    {
        Path = config.Path, ReadOnly = config.ReadOnly, Cache = config.Cache, Engine = config.Engine, Discard = config.Discard,
    });

    /// <summary>The image within the limits that the user chose. Disposing of it leaves the image open.</summary>
    public static IBlockBackend Limited(RawImage image, DiskConfig config) => new BorrowedBlockBackend(image, Limit(image, config));

    /// <summary>The disk's name in messages and counters.</summary>
    internal static string NameOf(BoardContext board, DiskConfig config) =>
        config.Id ?? $"disk{board.Config.IndexOf(config)}";

    /// <summary>The disk's image, open from the first power cycle on, within the limits that the user chose.</summary>
    internal static IBlockBackend Borrow(BoardContext board, DiskConfig config) => Limited(board.HostEnds.Get(config, () => Open(config)), config);

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
