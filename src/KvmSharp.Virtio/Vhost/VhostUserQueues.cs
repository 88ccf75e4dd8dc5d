using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Vhost;

/// <summary>The queues of a device all of whose queues another process serves, queue i by vring i.</summary>
internal sealed class VhostUserQueues(VhostUserBackend backend, EventLoop loop, int count) : IDisposable
{
    private readonly VhostQueue?[] _queues = new VhostQueue?[count];

    /// <inheritdoc cref="IVirtioDevice.Activate"/>
    public void Activate(VirtioContext context)
    {
        backend.SetFeatures(context.Features & backend.Features);
        backend.SetMemory(context.Memory);
    }

    /// <inheritdoc cref="IVirtioDevice.StartQueue"/>
    public void Start(int index, VirtQueueBinding binding)
    {
        if (_queues[index] is not null || VhostQueue.Open(backend, index, binding, loop) is not { } queue)
            return;
        _queues[index] = queue;
        queue.Run();
    }

    /// <inheritdoc cref="IVirtioDevice.StopQueue"/>
    public VirtQueueState? Stop(int index)
    {
        if (_queues[index] is not { } queue)
            return null;
        _queues[index] = null;
        queue.Dispose();
        return queue.State;
    }

    /// <summary>Stops what runs.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _queues.Length; i++)
            Stop(i);
    }
}
