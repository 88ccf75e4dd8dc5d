using KvmSharp.Core;
using KvmSharp.Core.Tracing;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Transport;

/// <summary>A transport's side of one virtqueue.</summary>
internal sealed class TransportQueue(ushort maxSize, int segmentLimit, TraceName traceName) : IDisposable
{
    public ushort MaxSize { get; } = maxSize;

    public VirtQueueConfig Config { get; private set; } = Default(maxSize, segmentLimit);

    /// <summary>Where to go on; null: from the beginning.</summary>
    public VirtQueueState? State { get; set; }

    public bool Running { get; set; }

    public EventFd Kick { get; } = new() { TraceName = traceName };

    public void Reset()
    {
        Config = Default(MaxSize, segmentLimit);
        State = null;
        Kick.Drain();
    }

    public void Dispose() => Kick.Dispose();

    private static VirtQueueConfig Default(ushort size, int segmentLimit) => new() { Size = size, SegmentLimit = segmentLimit };
}
