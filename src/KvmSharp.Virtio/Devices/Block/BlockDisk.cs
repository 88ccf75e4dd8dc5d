using KvmSharp.Backends.Block;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>What the queues of one virtio-blk device share. Written by the control thread, read by the loops.</summary>
internal sealed class BlockDisk(IBlockBackend backend, byte[] serial)
{
    private int _writeThrough;

    public IBlockBackend Backend => backend;

    /// <summary>VIRTIO_BLK_ID_BYTES bytes, padded with zeroes.</summary>
    public byte[] Serial => serial;

    /// <summary>The guest wants every write stable: it turned the write cache off, or cannot flush (virtio 1.2 §5.2.6.2).</summary>
    public bool WriteThrough
    {
        get => Volatile.Read(ref _writeThrough) != 0;
        set => Volatile.Write(ref _writeThrough, value ? 1 : 0);
    }
}
