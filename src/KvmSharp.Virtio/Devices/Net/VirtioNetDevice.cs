using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using Microsoft.Extensions.Logging;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>
/// A network interface (virtio 1.2 §5.1): multiqueue, mergeable buffers, checksum and segmentation offloads, filters. Queue pair i
/// lives on loop i modulo their number, or is served by vhost back end i. Owns its back end, not the loops, which must run while queues do, nor the vhost ones.
/// </summary>
public sealed class VirtioNetDevice : IVirtioDevice, IEventSink
{
    private const byte PciNetwork = 2;
    private const ushort ControlQueueSize = 64;

    // wiring
    private readonly VirtioNetOptions _options;
    private readonly NetShared _shared;
    private readonly EventLoop _controlLoop;
    private readonly INetPair[] _pairs;
    private readonly EventTimer? _linkTimer;

    // volatile state
    private NetControl? _control;
    private VirtioContext? _context;
    private bool _linkUp;
    private int _announcing;
    private bool _lossReported;

    /// <param name="vhost">One for each queue pair; null: packets pass through this program.</param>
    /// <param name="served">Features that take part of whoever is behind these: what they lack is not offered.</param>
    public VirtioNetDevice(VirtioNetOptions options, INetBackend backend, IReadOnlyList<EventLoop> loops, IReadOnlyList<IVhostBackend>? vhost = null, ulong served = VhostNetPair.KernelServed)
    {
        ArgumentOutOfRangeException.ThrowIfZero(loops.Count, nameof(loops));
        bool sizeFits = ushort.IsPow2(options.QueueSize) && options.QueueSize is >= VirtioNetOptions.MinQueueSize and <= VirtioNetOptions.MaxQueueSize;
        ArgumentOutOfRangeException.ThrowIfEqual(sizeFits, false, nameof(options));
        ArgumentOutOfRangeException.ThrowIfEqual(options.Mac.IsMulticast, true, nameof(options));
        _options = options;
        _shared = new NetShared(backend, options.Mac);
        _controlLoop = loops[0];
        ArgumentOutOfRangeException.ThrowIfNotEqual(vhost?.Count ?? backend.QueuePairs, backend.QueuePairs, nameof(vhost));
        _pairs = new INetPair[backend.QueuePairs];
        for (int i = 0; i < _pairs.Length; i++)
        {
            EventLoop loop = loops[i % loops.Count];
            _pairs[i] = vhost is null ? new NetPair(_shared, loop, i) : new VhostNetPair(_shared, vhost[i], served, loop);
        }

        ulong unserved = vhost is null ? 0 : VhostNetPair.Unserved(vhost, served);
        ulong features = NetFeatures.Offered(backend, options.WithheldFeatures | unserved);
        bool hasControl = (features & 1UL << VIRTIO_NET_F_CTRL_VQ) != 0;
        Identity = new VirtioIdentity
        {
            Name = options.Name,
            DeviceId = VirtioIds.VIRTIO_ID_NET,
            DeviceFeatures = features,
            RingFeatures = ~unserved,
            ConfigLength = (uint)Unsafe.SizeOf<virtio_net_config>(),
            QueueSizes = [.. Enumerable.Repeat(options.QueueSize, 2 * _pairs.Length).Concat(hasControl ? [ControlQueueSize] : [])],
            PciBaseClass = PciNetwork,
            PciSubclass = 0,
        };
        if (options.LinkCheckNs > 0)
            _linkTimer = new EventTimer(_controlLoop, this, 0);
    }

    public VirtioIdentity Identity { get; }

    public unsafe void ReadConfig(uint offset, Span<byte> data)
    {
        virtio_net_config config = new()
        {
            status = (ushort)((_shared.Backend.LinkUp ? VIRTIO_NET_S_LINK_UP : 0) | (Volatile.Read(ref _announcing) != 0 ? VIRTIO_NET_S_ANNOUNCE : 0)),
            max_virtqueue_pairs = (ushort)_pairs.Length,
            mtu = (ushort)Math.Clamp(_shared.Backend.Mtu, 68, ushort.MaxValue),
            speed = uint.MaxValue,
            duplex = byte.MaxValue,
        };
        new MacAddress(_shared.Filter.Mac).CopyTo(new Span<byte>(config.mac, MacAddress.Length));
        MemoryMarshal.AsBytes(new ReadOnlySpan<virtio_net_config>(in config)).Slice((int)offset, data.Length).CopyTo(data);
    }

    /// <summary>Nothing in it can be written: a driver sets its address through the control queue.</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
    }

    public void Activate(VirtioContext context)
    {
        Volatile.Write(ref _context, context);
        _shared.Reset(filterVlans: context.Has(1UL << VIRTIO_NET_F_CTRL_VLAN));
        _shared.Backend.SetOffloads(NetOffloadBits.ToHost(context.Features & NetOffloadBits.Guest));
        foreach (INetPair pair in _pairs)
            pair.Activate(context);
        // Until the driver asks for more (§5.1.6.5.5).
        SetActivePairs(1);
        _linkUp = _shared.Backend.LinkUp;
        _linkTimer?.Arm(_options.LinkCheckNs, _options.LinkCheckNs);
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (index == ControlIndex)
        {
            if (_control is null && binding.TryOpen(out VirtQueue? queue))
                _control = new NetControl(_shared, _controlLoop, binding, queue, SetActivePairs, () => Volatile.Write(ref _announcing, 0));
        }
        else if (index / 2 >= _pairs.Length)
        {
            // A driver that does not know of pairs has no queue here.
        }
        else if (index % 2 == 0)
        {
            _pairs[index / 2].StartReceive(binding);
        }
        else
        {
            _pairs[index / 2].StartTransmit(binding);
        }

        FollowQueues();
    }

    public VirtQueueState? StopQueue(int index)
    {
        if (index == ControlIndex)
        {
            VirtQueueState? state = _control?.Stop();
            _control = null;
            return state;
        }

        if (index / 2 >= _pairs.Length)
            return null;
        VirtQueueState? stopped = index % 2 == 0 ? _pairs[index / 2].StopReceive() : _pairs[index / 2].StopTransmit();
        FollowQueues();
        return stopped;
    }

    public void Reset()
    {
        _linkTimer?.Disarm();
        _shared.Backend.SetOffloads(NetOffloads.None);
        _shared.Reset(filterVlans: false);
        Volatile.Write(ref _announcing, 0);
        Volatile.Write(ref _context, null);
    }

    /// <summary>Asks the guest to tell the network where it is now. False if it would not understand. Any thread.</summary>
    public bool TryAnnounce()
    {
        if (Volatile.Read(ref _context) is not { } context || !context.Has(1UL << VIRTIO_NET_F_GUEST_ANNOUNCE))
            return false;
        Volatile.Write(ref _announcing, 1);
        context.Interrupt.SignalConfig();
        return true;
    }

    /// <summary>Stops what runs and closes the back end.</summary>
    public void Dispose()
    {
        for (int i = 0; i < Identity.QueueSizes.Count; i++)
            StopQueue(i);
        _linkTimer?.Dispose();
        _shared.Backend.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents) => CheckLink();

    /// <summary>Tells the guest if the link is not what it was. Thread of the first loop.</summary>
    internal void CheckLink()
    {
        if (!_lossReported && _shared.Backend.Loss is { } loss)
        {
            _lossReported = true;
            _options.Logger.LogWarning("{Loss}, the link stays down until the program is started again", loss);
        }

        bool up = _shared.Backend.LinkUp;
        if (up == _linkUp)
            return;
        _linkUp = up;
        Volatile.Read(ref _context)?.Interrupt.SignalConfig();
    }

    private void FollowQueues()
    {
        // The first one always takes part: without any a tap is as if it were gone.
        if (_options.PairsFollowQueues)
            _ = SetActivePairs(1 + Math.Max(0, Array.FindLastIndex(_pairs, pair => pair.IsRunning)));
    }

    /// <summary>The first pairs take part in the host's steering, and only they. False if the host refused. Any thread, one at a time.</summary>
    private bool SetActivePairs(int count)
    {
        bool all = true;
        for (int i = count; i < _pairs.Length; i++)
            all &= _pairs[i].SetActive(false);
        all &= _shared.Backend.SetActiveQueuePairs(count);
        for (int i = 0; i < count; i++)
            all &= _pairs[i].SetActive(true);
        return all;
    }

    /// <summary>Behind all pairs if the driver knows of them, else behind the first (§5.1.2).</summary>
    private int ControlIndex => _context is { } context && !context.Has(1UL << VIRTIO_NET_F_MQ) ? 2 : 2 * _pairs.Length;
}
