using KvmSharp.Backends;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using KvmSharp.Virtio.Vhost;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>
/// A network interface whose packets another process carries. While there is none the link is down; when another one is there the guest tells
/// the network where it is. Borrows the host end and the loop.
/// </summary>
public sealed class VhostUserNetDevice : IVirtioDevice, IVhostUserOwner, IEventSink
{
    /// <summary>From the link's return, which the guest has to notice first.</summary>
    private const long AnnounceDelayNs = 300_000_000;

    private readonly VirtioNetDevice _device;
    private readonly VhostUserBackend _backend;
    private readonly MacAddress _mac;
    private readonly VhostUserLink _link;
    private readonly EventTimer _announce;

    /// <summary>Throws <see cref="BackendException"/> if the back end cannot serve it.</summary>
    /// <param name="end">The host end, for the device to dispose.</param>
    public VhostUserNetDevice(VirtioNetOptions options, VhostUserBackend backend, INetBackend end, EventLoop loop)
    {
        if ((backend.Features & VirtioFeatures.Version1) == 0)
            throw new BackendException($"{options.Name}: its vhost-user back end is too old: it lacks VIRTIO_F_VERSION_1");
        _backend = backend;
        _mac = options.Mac;
        VhostUserVrings[] pairs = [.. Enumerable.Range(0, end.QueuePairs).Select(i => new VhostUserVrings(backend, 2 * i))];
        // The other process cannot be told of offloads that change while it runs.
        ulong withheld = options.WithheldFeatures | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
        _device = new VirtioNetDevice(options with { WithheldFeatures = withheld }, end, [loop], pairs, VhostNetPair.UserServed);
        _announce = new EventTimer(loop, this, 0);
        _link = new VhostUserLink(backend, loop, options.Logger, this);
        _link.Start();
    }

    public VirtioIdentity Identity => _device.Identity;

    public void ReadConfig(uint offset, Span<byte> data) => _device.ReadConfig(offset, data);

    public void WriteConfig(uint offset, ReadOnlySpan<byte> data) => _device.WriteConfig(offset, data);

    public void Activate(VirtioContext context)
    {
        _link.Activate(context);
        _device.Activate(context);
    }

    public void StartQueue(int index, VirtQueueBinding binding) => _device.StartQueue(index, binding);

    public VirtQueueState? StopQueue(int index) => _device.StopQueue(index);

    public void Reset()
    {
        _device.Reset();
        _link.Reset();
    }

    public void Dispose()
    {
        _device.Dispose();
        _announce.Dispose();
        _link.Dispose();
    }

    void IVhostUserOwner.OnLost() => _device.CheckLink();

    void IVhostUserOwner.OnReturned()
    {
        _device.CheckLink();
        _announce.Arm(AnnounceDelayNs);
    }

    /// <summary>Its configuration is ours.</summary>
    void IVhostUserOwner.OnConfigChanged()
    {
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (_link.Context is null || _device.TryAnnounce())
            return;
        Span<byte> address = stackalloc byte[MacAddress.Length];
        _mac.CopyTo(address);
        _backend.SendRarp(address);
    }
}
