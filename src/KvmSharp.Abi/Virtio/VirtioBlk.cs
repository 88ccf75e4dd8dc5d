using System.Runtime.InteropServices;

namespace KvmSharp.Abi.Virtio;

/// <summary>linux/virtio_blk.h: feature bit numbers, request types, status values.</summary>
public static class VirtioBlk
{
    // Bit numbers, not masks.
    public const int VIRTIO_BLK_F_SIZE_MAX = 1, VIRTIO_BLK_F_SEG_MAX = 2, VIRTIO_BLK_F_GEOMETRY = 4, VIRTIO_BLK_F_RO = 5,
        VIRTIO_BLK_F_BLK_SIZE = 6, VIRTIO_BLK_F_FLUSH = 9, VIRTIO_BLK_F_TOPOLOGY = 10, VIRTIO_BLK_F_CONFIG_WCE = 11, VIRTIO_BLK_F_MQ = 12,
        VIRTIO_BLK_F_DISCARD = 13, VIRTIO_BLK_F_WRITE_ZEROES = 14, VIRTIO_BLK_F_SECURE_ERASE = 16;

    public const uint VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4, VIRTIO_BLK_T_GET_ID = 8, VIRTIO_BLK_T_DISCARD = 11,
        VIRTIO_BLK_T_WRITE_ZEROES = 13, VIRTIO_BLK_T_SECURE_ERASE = 14;

    public const byte VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2;

    public const int VIRTIO_BLK_ID_BYTES = 20;
    public const uint VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 1;
}

/// <summary><c>struct virtio_blk_config</c>, linux/virtio_blk.h (packed).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public unsafe struct virtio_blk_config
{
    public ulong capacity;
    public uint size_max;
    public uint seg_max;
    public virtio_blk_geometry geometry;
    public uint blk_size;
    public byte physical_block_exp;
    public byte alignment_offset;
    public ushort min_io_size;
    public uint opt_io_size;
    public byte wce;
    public byte unused;
    public ushort num_queues;
    public uint max_discard_sectors;
    public uint max_discard_seg;
    public uint discard_sector_alignment;
    public uint max_write_zeroes_sectors;
    public uint max_write_zeroes_seg;
    public byte write_zeroes_may_unmap;
    public fixed byte unused1[3];
    public uint max_secure_erase_sectors;
    public uint max_secure_erase_seg;
    public uint secure_erase_sector_alignment;
}

/// <summary><c>struct virtio_blk_geometry</c>, linux/virtio_blk.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct virtio_blk_geometry
{
    public ushort cylinders;
    public byte heads;
    public byte sectors;
}

/// <summary><c>struct virtio_blk_outhdr</c>, linux/virtio_blk.h: what every request starts with.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct virtio_blk_outhdr
{
    public uint type;
    public uint ioprio;
    public ulong sector;
}

/// <summary><c>struct virtio_blk_discard_write_zeroes</c>, linux/virtio_blk.h.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct virtio_blk_discard_write_zeroes
{
    public ulong sector;
    public uint num_sectors;
    public uint flags;
}
