namespace KvmSharp.Virtio.Queues;

/// <summary>
/// Where a virtqueue stands, in the form of vhost-user's VRING_BASE. Split: free-running 16-bit indices. Packed: descriptor
/// offset in bits 0 to 14, wrap counter in bit 15. Untrusted when it comes from a file: <see cref="VirtQueue.Open"/> checks it.
/// </summary>
/// <param name="AvailCursor">Next descriptor chain to pop.</param>
/// <param name="UsedCursor">Next place to push to; equal to <paramref name="AvailCursor"/> when nothing is in flight.</param>
public readonly record struct VirtQueueState(ushort AvailCursor, ushort UsedCursor)
{
    /// <summary>A queue that was just enabled; a packed one starts with wrap counters of 1 (virtio 1.2 §2.8.1).</summary>
    public static VirtQueueState Initial(ulong features) =>
        (features & VirtioFeatures.RingPacked) != 0 ? new(0x8000, 0x8000) : default;

    /// <summary>From the one number that vhost has for it. A split ring's used index is not in it; nothing is in flight.</summary>
    public static VirtQueueState FromVringBase(uint position, bool packed) =>
        packed ? new((ushort)position, (ushort)(position >> 16)) : new((ushort)position, (ushort)position);

    /// <inheritdoc cref="FromVringBase"/>
    public uint ToVringBase(bool packed) => packed ? AvailCursor | (uint)UsedCursor << 16 : AvailCursor;
}
