namespace KvmSharp.Virtio.Queues;

/// <summary>
/// A virtqueue's part of the memory in which a vhost-user back end notes its chains in flight, so that they are served if it dies ("Inflight I/O tracking" of
/// the vhost-user protocol). Outlives every queue that is opened with it. The front end has it too: nothing in it is trusted.
/// </summary>
/// <param name="start">Aligned to 64; <see cref="SizeOf"/> bytes.</param>
/// <param name="queueSize">Entries it has room for.</param>
public sealed unsafe class InFlightRegion(byte* start, ushort queueSize)
{
    private const int HeaderBytes = 64, EntryBytes = 32, VersionOffset = 8;

    internal byte* Start => start;

    internal ushort QueueSize => queueSize;

    /// <summary>Bytes for a queue of so many entries, split or packed; a multiple of 64.</summary>
    public static ulong SizeOf(ushort queueSize) => (HeaderBytes + (ulong)queueSize * EntryBytes + 63) & ~63UL;

    /// <summary>
    /// Of a queue that was saved: nothing is in flight, and whoever goes on is told where by the front end. Without this the next one goes on from what is noted here.
    /// </summary>
    public void Forget() => Volatile.Write(ref *(ushort*)(start + VersionOffset), 0);
}
