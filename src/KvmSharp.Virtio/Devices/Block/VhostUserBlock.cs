using System.Buffers.Binary;
using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using KvmSharp.Virtio.Vhost;
using Microsoft.Extensions.Logging;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// A disk (virtio 1.2 §5.2) whose queues another process serves, which also says how large it is. That process may end and another take its place:
/// the guest sees a pause. Borrows the back end and the loop, on which it only watches the connection.
/// </summary>
public sealed class VhostUserBlock : IVirtioDevice, IEventSink
{
    private const byte PciMassStorage = 1;

    /// <summary>Up to and with what discard and write zeroes need; what comes behind is for features that are not passed on.</summary>
    private const int ConfigBytes = 60;
    private const int QueuesOffset = 34;
    private const uint HangupCookie = 0, RetryCookie = 1, WatchCookie = 2, StopCookie = 3;

    /// <summary>Nanoseconds between looks for a new back end; they double, up to a limit, with each that was gone again within a second.</summary>
    private const long RetryNs = 100_000_000, RetryLimitNs = 5_000_000_000;

    private const long ShortLifeMs = 1000;

    /// <summary>Features of the device type that need nothing but <see cref="ConfigBytes"/> from us.</summary>
    private const ulong PassedOn = 1UL << VIRTIO_BLK_F_SIZE_MAX | 1UL << VIRTIO_BLK_F_SEG_MAX | 1UL << VIRTIO_BLK_F_GEOMETRY | 1UL << VIRTIO_BLK_F_RO |
        1UL << VIRTIO_BLK_F_BLK_SIZE | 1UL << VIRTIO_BLK_F_FLUSH | 1UL << VIRTIO_BLK_F_TOPOLOGY | 1UL << VIRTIO_BLK_F_CONFIG_WCE | 1UL << VIRTIO_BLK_F_MQ |
        1UL << VIRTIO_BLK_F_DISCARD | 1UL << VIRTIO_BLK_F_WRITE_ZEROES;

    private readonly VhostUserBackend _backend;
    private readonly EventLoop _loop;
    private readonly ILogger _logger;
    private readonly EventTimer _retry;
    private readonly VhostQueue?[] _queues;
    private readonly byte[] _config = new byte[ConfigBytes];

    private VirtioContext? _context;

    // The loop's alone.
    private EventToken _hangup;
    private bool _stopped;
    private long _retryNs = RetryNs;
    private long _connectedAtMs = Environment.TickCount64;

    /// <summary>Throws <see cref="BackendException"/> if the back end is none of a disk.</summary>
    public VhostUserBlock(VirtioBlockOptions options, VhostUserBackend backend, EventLoop loop, ILogger logger)
    {
        _backend = backend;
        _loop = loop;
        _logger = logger;
        if ((backend.Features & VirtioFeatures.Version1) == 0)
            throw new BackendException($"{options.Name}: its vhost-user back end is too old: it lacks VIRTIO_F_VERSION_1");
        if (!backend.TryReadConfig(_config))
            throw new BackendException($"{options.Name}: its vhost-user back end says nothing of a disk: it lacks device configuration");
        int queues = Math.Min(options.Queues, backend.QueueLimit);
        BinaryPrimitives.WriteUInt16LittleEndian(_config.AsSpan(QueuesOffset), (ushort)queues);
        _queues = new VhostQueue?[queues];
        Identity = new VirtioIdentity
        {
            Name = options.Name,
            DeviceId = VirtioIds.VIRTIO_ID_BLOCK,
            DeviceFeatures = backend.Features & PassedOn & ~(queues == 1 ? 1UL << VIRTIO_BLK_F_MQ : 0),
            RingFeatures = backend.Features,
            ConfigLength = ConfigBytes,
            QueueSizes = [.. Enumerable.Repeat(options.QueueSize, queues)],
            PciBaseClass = PciMassStorage,
            PciSubclass = 0,
        };
        _retry = new EventTimer(loop, this, RetryCookie);
        loop.Invoke(this, WatchCookie);
    }

    public VirtioIdentity Identity { get; }

    public void ReadConfig(uint offset, Span<byte> data) => _config.AsSpan((int)offset, data.Length).CopyTo(data);

    /// <summary>The write cache alone can be written (§5.2.5.2).</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        data.CopyTo(_config.AsSpan((int)offset));
        _backend.WriteConfig(offset, data);
    }

    public void Activate(VirtioContext context)
    {
        Volatile.Write(ref _context, context);
        _backend.SetFeatures(context.Features & _backend.Features);
        _backend.SetMemory(context.Memory);
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (_queues[index] is not null || VhostQueue.Open(_backend, index, binding, _loop) is not { } queue)
            return;
        _queues[index] = queue;
        queue.Run();
    }

    public VirtQueueState? StopQueue(int index)
    {
        if (_queues[index] is not { } queue)
            return null;
        _queues[index] = null;
        queue.Dispose();
        return queue.State;
    }

    public void Reset() => Volatile.Write(ref _context, null);

    /// <summary>Stops what runs; the back end stays.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _queues.Length; i++)
            StopQueue(i);
        _loop.Invoke(this, StopCookie);
        _retry.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case WatchCookie:
                Watch();
                break;
            case StopCookie:
                _stopped = true;
                _loop.Unregister(_hangup);
                break;
            case HangupCookie:
                _loop.Unregister(_hangup);
                _hangup = default;
                _backend.GiveUp();
                _logger.LogWarning("the vhost-user back end is gone; requests wait for the next one behind the same socket");
                if (Volatile.Read(ref _context) is { } context && context.Has(VirtioFeatures.RingPacked))
                    context.NeedsReset("its vhost-user back end is gone, and with it where the packed rings stand");
                _retryNs = Environment.TickCount64 - _connectedAtMs < ShortLifeMs ? Math.Min(2 * _retryNs, RetryLimitNs) : RetryNs;
                _retry.Arm(_retryNs);
                break;
            default:
                if (!_stopped && !_hangup.IsValid)
                    Reconnect();
                break;
        }
    }

    private void Reconnect()
    {
        if (_backend.TryReconnect())
        {
            _connectedAtMs = Environment.TickCount64;
            _logger.LogWarning("a vhost-user back end is there again and goes on");
        }

        Watch();
    }

    private void Watch()
    {
        if (_backend.Connection is { } connection)
            _hangup = _loop.Register(connection, LibcConstants.EPOLLRDHUP, this, HangupCookie);
        else
            _retry.Arm(_retryNs);
    }
}
