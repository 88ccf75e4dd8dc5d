using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>The entropy device (virtio 1.2 §5.4): one queue of buffers to fill, no configuration.</summary>
public sealed class VirtioRng(EventLoop loop, VirtioRngOptions? options = null) : IVirtioDevice
{
    private static readonly VirtioRngOptions s_default = new();

    private readonly VirtioRngOptions _options = options ?? s_default;
    private RngWorker? _worker;

    public VirtioIdentity Identity { get; } = new()
    {
        Name = (options ?? s_default).Name,
        DeviceId = VirtioIds.VIRTIO_ID_RNG,
        QueueSizes = [(options ?? s_default).QueueSize],
        SegmentLimit = (options ?? s_default).QueueSize,
    };

    public void ReadConfig(uint offset, Span<byte> data) => data.Clear();

    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
    }

    public void Activate(VirtioContext context)
    {
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (_worker is null && binding.TryOpen(out VirtQueue? queue))
            _worker = new RngWorker(loop, _options, binding, queue);
    }

    public VirtQueueState? StopQueue(int index)
    {
        if (_worker is not { } worker)
            return null;
        _worker = null;
        VirtQueueState state = worker.Stop();
        worker.Dispose();
        return state;
    }

    public void Reset() => StopQueue(0);

    public void Dispose() => Reset();
}
