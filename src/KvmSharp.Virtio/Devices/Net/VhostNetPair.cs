using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using KvmSharp.Virtio.Vhost;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>A receive and a transmit queue that a vhost back end serves, while the pair takes part: the kernel refuses queues of a tap that do not.</summary>
internal sealed class VhostNetPair(NetShared shared, IVhostBackend backend, ulong served, EventLoop loop) : INetPair
{
    /// <summary>Features that change what the kernel does; the others are between the driver and the tap.</summary>
    public const ulong KernelServed = VirtioFeatures.Version1 | VirtioFeatures.Ring | 1UL << VIRTIO_NET_F_MRG_RXBUF;

    /// <summary>Features that change what another process does, which is the host's end too.</summary>
    public const ulong UserServed = KernelServed | NetOffloadBits.Packets;

    private const int Receive = 0, Transmit = 1;

    // The control queue says which pairs are active while the control thread starts and stops queues.
    private readonly Lock _gate = new();
    private readonly VhostQueue?[] _queues = new VhostQueue?[2];
    private bool _active;

    /// <summary>What a device may not offer that these serve.</summary>
    public static ulong Unserved(IReadOnlyList<IVhostBackend> backends, ulong served) => backends.Aggregate(0UL, (missing, b) => missing | (served & ~b.Features));

    public bool IsRunning => Array.Exists(_queues, queue => queue is not null);

    public void Activate(VirtioContext context)
    {
        backend.SetFeatures(context.Features & served & backend.Features);
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
                for (int vring = Receive; vring <= Transmit; vring++)
                    Apply(vring, _queues[vring]);
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
                Apply(vring, queue);
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

    private void Apply(int vring, VhostQueue? queue)
    {
        if (!backend.TryEnableVring(vring, _active) && !_active)
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
