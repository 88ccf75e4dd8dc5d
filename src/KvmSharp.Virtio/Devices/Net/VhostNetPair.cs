using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using KvmSharp.Virtio.Vhost;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>A receive and a transmit queue that a vhost back end serves. It runs them only while the host's queue is attached: a detached one is refused.</summary>
internal sealed class VhostNetPair(NetShared shared, IVhostBackend backend, EventLoop loop) : INetPair
{
    /// <summary>Features that change what the back end does; the others are between the driver and the host's end.</summary>
    private const ulong Served = VirtioFeatures.Version1 | VirtioFeatures.Ring | MergeableBuffers;

    private const ulong MergeableBuffers = 1UL << VIRTIO_NET_F_MRG_RXBUF;
    private const int Receive = 0, Transmit = 1;

    // The control queue says which pairs are active while the control thread starts and stops queues.
    private readonly Lock _gate = new();
    private readonly VhostQueue?[] _queues = new VhostQueue?[2];
    private bool _active;

    /// <summary>What a device may not offer that these serve.</summary>
    public static ulong Unserved(IReadOnlyList<IVhostBackend> backends) => backends.Aggregate(0UL, (missing, b) => missing | (Served & ~b.Features));

    public void Activate(VirtioContext context)
    {
        backend.SetFeatures(context.Features & Served & backend.Features);
        backend.SetMemory(context.Memory);
    }

    public void StartReceive(VirtQueueBinding binding) => Start(Receive, binding);

    public void StartTransmit(VirtQueueBinding binding) => Start(Transmit, binding);

    public VirtQueueState? StopReceive() => Stop(Receive);

    public VirtQueueState? StopTransmit() => Stop(Transmit);

    public bool SetActive(bool active)
    {
        lock (_gate)
        {
            _active = active;
            try
            {
                foreach (VhostQueue? queue in _queues)
                    Apply(queue);
                return true;
            }
            catch (LinuxException)
            {
                return false;
            }
        }
    }

    private void Start(int vring, VirtQueueBinding binding)
    {
        if (_queues[vring] is not null || VhostQueue.Open(backend, vring, binding, loop) is not { } queue)
            return;
        try
        {
            lock (_gate)
            {
                Apply(queue);
                _queues[vring] = queue;
            }
        }
        catch
        {
            queue.Dispose();
            throw;
        }
    }

    private VirtQueueState? Stop(int vring)
    {
        VhostQueue? queue;
        lock (_gate)
        {
            queue = _queues[vring];
            _queues[vring] = null;
        }

        // Without the lock: it waits for the loop, which may be about to take it.
        queue?.Dispose();
        return queue?.State;
    }

    private void Apply(VhostQueue? queue)
    {
        if (!_active)
        {
            queue?.Halt();
            return;
        }

        try
        {
            queue?.Run();
        }
        catch (LinuxException) when (shared.Backend.Loss is not null)
        {
            // A cable without another end: the driver sees that the link is down.
        }
    }
}
