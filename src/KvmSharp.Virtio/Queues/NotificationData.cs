namespace KvmSharp.Virtio.Queues;

/// <summary>What a kick carries under VIRTIO_F_NOTIFICATION_DATA (virtio 1.2 §4.1.5.2, §2.9).</summary>
/// <param name="Queue">Virtqueue number.</param>
/// <param name="NextOffset">Packed: offset of the next descriptor to be made available; split: low 15 bits of the available index.</param>
/// <param name="NextWrap">Packed: the driver's wrap counter; split: bit 15 of the available index.</param>
public readonly record struct NotificationData(ushort Queue, ushort NextOffset, bool NextWrap)
{
    /// <summary>The cursor in the form of <see cref="VirtQueueState.AvailCursor"/>, both formats.</summary>
    public ushort AvailCursor => (ushort)(NextOffset | (NextWrap ? 0x8000 : 0));

    public static NotificationData Decode(uint value) =>
        new((ushort)value, (ushort)(value >> 16 & 0x7fff), value >> 31 != 0);
}
