using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// Reads a request once out of a chain and turns it into one for the back end (virtio 1.2 §5.2.6). Trusts nothing: every answer
/// is a request inside the disk, or a status.
/// </summary>
internal sealed unsafe class BlockRequestParser(BlockDisk disk)
{
    public const int SectorSize = 512;

    /// <summary>What happens to the chain.</summary>
    public enum Verdict
    {
        /// <summary>The request goes to the back end.</summary>
        Submit,

        /// <summary>It is answered with the status.</summary>
        Answer,

        /// <summary>There is no header, or no room for a status: a violation of the protocol.</summary>
        Malformed,
    }

    /// <summary>
    /// For <see cref="Verdict.Submit"/> the slot's segments and <paramref name="request"/> are filled in; its tag is the slot's index.
    /// For <see cref="Verdict.Answer"/> <paramref name="status"/> is. The slot's status pointer is valid unless malformed.
    /// </summary>
    public Verdict Parse(in DescriptorChain chain, BlockRequestSlots slots, out BlockRequest request, out byte status)
    {
        request = default;
        status = VIRTIO_BLK_S_OK;
        virtio_blk_outhdr header;
        if (chain.ReadableBytes < sizeof(virtio_blk_outhdr) || chain.WritableBytes < 1)
            return Verdict.Malformed;
        IoVecCopy.CopyTo(chain.Readable, 0, new Span<byte>(&header, sizeof(virtio_blk_outhdr)));
        int index = chain.Token.Slot;
        ref BlockRequestSlots.Slot slot = ref slots[index];
        slot.Token = chain.Token;
        slot.Status = SegmentRange.LastByte(chain.Writable);
        slot.Expected = 0;
        // The status is the last byte, so everything before it counts as written.
        slot.BytesWritten = chain.WritableBytes;
        switch (header.type)
        {
            case VIRTIO_BLK_T_IN:
                return ParseTransfer(BlockOperation.Read, header.sector, chain.Writable, 0, chain.WritableBytes - 1, slots, index, out request, out status);
            case VIRTIO_BLK_T_OUT:
                return ParseTransfer(BlockOperation.Write, header.sector, chain.Readable, (uint)sizeof(virtio_blk_outhdr),
                    chain.ReadableBytes - (uint)sizeof(virtio_blk_outhdr), slots, index, out request, out status);
            case VIRTIO_BLK_T_FLUSH:
                request = new BlockRequest { Operation = BlockOperation.Flush, Tag = (uint)index };
                return Verdict.Submit;
            case VIRTIO_BLK_T_GET_ID:
                return AnswerId(chain, out status);
            case VIRTIO_BLK_T_DISCARD:
                return ParseRange(BlockOperation.Discard, disk.Backend.Limits.SupportsDiscard, chain, index, out request, out status);
            case VIRTIO_BLK_T_WRITE_ZEROES:
                return ParseRange(BlockOperation.WriteZeroes, disk.Backend.Limits.SupportsWriteZeroes, chain, index, out request, out status);
            default:
                status = VIRTIO_BLK_S_UNSUPP;
                return Verdict.Answer;
        }
    }

    private Verdict ParseTransfer(BlockOperation operation, ulong sector, ReadOnlySpan<IoVec> segments, uint skip, uint length,
        BlockRequestSlots slots, int index, out BlockRequest request, out byte status)
    {
        request = default;
        status = VIRTIO_BLK_S_IOERR;
        bool refused = operation == BlockOperation.Write && disk.Backend.Limits.ReadOnly;
        if (refused || length % SectorSize != 0 || length > int.MaxValue || !IsInside(sector, length / SectorSize))
            return Verdict.Answer;
        int count = SegmentRange.Copy(segments, skip, length, slots.Segments(index));
        slots[index].Expected = (int)length;
        request = new BlockRequest
        {
            Operation = operation,
            Flags = operation == BlockOperation.Write && disk.WriteThrough ? BlockRequestFlags.Fua : BlockRequestFlags.None,
            Tag = (uint)index,
            OffsetBytes = sector * SectorSize,
            LengthBytes = length,
            Segments = slots.Pointer(index),
            SegmentCount = count,
        };
        return Verdict.Submit;
    }

    /// <summary>One range per request: max_discard_seg and max_write_zeroes_seg are 1.</summary>
    private Verdict ParseRange(BlockOperation operation, bool supported, in DescriptorChain chain, int index, out BlockRequest request, out byte status)
    {
        request = default;
        status = VIRTIO_BLK_S_UNSUPP;
        virtio_blk_discard_write_zeroes range;
        if (!supported)
            return Verdict.Answer;
        status = VIRTIO_BLK_S_IOERR;
        if (chain.ReadableBytes != (uint)(sizeof(virtio_blk_outhdr) + sizeof(virtio_blk_discard_write_zeroes)))
            return Verdict.Answer;
        IoVecCopy.CopyTo(chain.Readable, (ulong)sizeof(virtio_blk_outhdr), new Span<byte>(&range, sizeof(virtio_blk_discard_write_zeroes)));
        uint allowed = operation == BlockOperation.WriteZeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
        if ((range.flags & ~allowed) != 0)
        {
            // Unknown flags, and unmap on a discard (virtio 1.2 §5.2.6.2).
            status = VIRTIO_BLK_S_UNSUPP;
            return Verdict.Answer;
        }

        ulong limit = disk.Backend.Limits.MaxRangeBytes / SectorSize;
        if (range.num_sectors > limit || !IsInside(range.sector, range.num_sectors))
            return Verdict.Answer;
        BlockRequestFlags flags = range.flags != 0 ? BlockRequestFlags.MayUnmap : BlockRequestFlags.None;
        request = new BlockRequest
        {
            Operation = operation,
            Flags = operation == BlockOperation.WriteZeroes && disk.WriteThrough ? flags | BlockRequestFlags.Fua : flags,
            Tag = (uint)index,
            OffsetBytes = range.sector * SectorSize,
            LengthBytes = (ulong)range.num_sectors * SectorSize,
        };
        return Verdict.Submit;
    }

    private Verdict AnswerId(in DescriptorChain chain, out byte status)
    {
        int room = (int)Math.Min(chain.WritableBytes - 1, VIRTIO_BLK_ID_BYTES);
        IoVecCopy.CopyFrom(chain.Writable, 0, disk.Serial.AsSpan(0, room));
        status = VIRTIO_BLK_S_OK;
        return Verdict.Answer;
    }

    private bool IsInside(ulong sector, ulong count)
    {
        ulong capacity = disk.Backend.CapacityBytes / SectorSize;
        return sector <= capacity && count <= capacity - sector;
    }
}
