namespace KvmSharp.Machine.Config;

/// <summary>What a guest sees of a disk.</summary>
public enum DiskModel
{
    /// <summary>virtio-blk.</summary>
    Virtio,

    /// <summary>An ATA disk on a PIIX3.</summary>
    Ide,
}
