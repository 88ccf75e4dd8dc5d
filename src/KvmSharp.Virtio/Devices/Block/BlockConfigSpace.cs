using System.Numerics;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>The device configuration of virtio-blk (virtio 1.2 §5.2.4), made anew for each read, so that it is never stale.</summary>
internal static class BlockConfigSpace
{
    private const uint SectorSize = BlockRequestParser.SectorSize;

    public static virtio_blk_config Build(IBlockBackend backend, VirtioBlockOptions options, bool writeCache)
    {
        BlockLimits limits = backend.Limits;
        uint rangeSectors = (uint)Math.Min(limits.MaxRangeBytes / SectorSize, uint.MaxValue);
        uint physicalBlocks = limits.PhysicalBlockSize / limits.LogicalBlockSize;
        return new virtio_blk_config
        {
            capacity = backend.CapacityBytes / SectorSize,
            // Header and status take a descriptor each.
            seg_max = options.QueueSize - 2u,
            blk_size = limits.LogicalBlockSize,
            physical_block_exp = (byte)BitOperations.Log2(physicalBlocks),
            min_io_size = (ushort)Math.Min(physicalBlocks, ushort.MaxValue),
            wce = writeCache ? (byte)1 : (byte)0,
            num_queues = (ushort)options.Queues,
            max_discard_sectors = limits.SupportsDiscard ? rangeSectors : 0,
            max_discard_seg = limits.SupportsDiscard ? 1u : 0,
            discard_sector_alignment = limits.SupportsDiscard ? limits.DiscardAlignment / SectorSize : 0,
            max_write_zeroes_sectors = limits.SupportsWriteZeroes ? rangeSectors : 0,
            max_write_zeroes_seg = limits.SupportsWriteZeroes ? 1u : 0,
            write_zeroes_may_unmap = limits is { SupportsWriteZeroes: true, SupportsDiscard: true } ? (byte)1 : (byte)0,
        };
    }
}
