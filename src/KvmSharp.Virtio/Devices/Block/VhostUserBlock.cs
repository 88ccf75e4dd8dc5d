using System.Buffers.Binary;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
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
public sealed class VhostUserBlock : IVirtioDevice, IVhostUserOwner
{
    private const byte PciMassStorage = 1;

    /// <summary>Up to and with what discard and write zeroes need; what comes behind is for features that are not passed on.</summary>
    private const int ConfigBytes = 60;
    private const int QueuesOffset = 34;

    /// <summary>Features of the device type that need nothing but <see cref="ConfigBytes"/> from us.</summary>
    private const ulong PassedOn = 1UL << VIRTIO_BLK_F_SIZE_MAX | 1UL << VIRTIO_BLK_F_SEG_MAX | 1UL << VIRTIO_BLK_F_GEOMETRY | 1UL << VIRTIO_BLK_F_RO |
        1UL << VIRTIO_BLK_F_BLK_SIZE | 1UL << VIRTIO_BLK_F_FLUSH | 1UL << VIRTIO_BLK_F_TOPOLOGY | 1UL << VIRTIO_BLK_F_CONFIG_WCE | 1UL << VIRTIO_BLK_F_MQ |
        1UL << VIRTIO_BLK_F_DISCARD | 1UL << VIRTIO_BLK_F_WRITE_ZEROES;

    private readonly VhostUserBackend _backend;
    private readonly VhostUserQueues _queues;
    private readonly VhostUserLink _link;

    // Replaced whole, so that no reader sees half of a change.
    private byte[] _config;

    /// <summary>Throws <see cref="BackendException"/> if the back end is none of a disk.</summary>
    public VhostUserBlock(VirtioBlockOptions options, VhostUserBackend backend, EventLoop loop, ILogger logger)
    {
        _backend = backend;
        if ((backend.Features & VirtioFeatures.Version1) == 0)
            throw new BackendException($"{options.Name}: its vhost-user back end is too old: it lacks VIRTIO_F_VERSION_1");
        int queues = Math.Min(options.Queues, backend.QueueLimit);
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
        if (!TryReadBackend(out byte[] config))
            throw new BackendException($"{options.Name}: its vhost-user back end says nothing of a disk: it lacks device configuration");
        _config = config;
        _queues = new VhostUserQueues(backend, loop, queues);
        _link = new VhostUserLink(backend, loop, logger, this);
        _link.Start();
    }

    public VirtioIdentity Identity { get; }

    public void ReadConfig(uint offset, Span<byte> data) => Volatile.Read(ref _config).AsSpan((int)offset, data.Length).CopyTo(data);

    /// <summary>The write cache alone can be written (§5.2.5.2).</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        data.CopyTo(Volatile.Read(ref _config).AsSpan((int)offset));
        _backend.WriteConfig(offset, data);
    }

    public void Activate(VirtioContext context)
    {
        _link.Activate(context);
        _queues.Activate(context);
    }

    public void StartQueue(int index, VirtQueueBinding binding) => _queues.Start(index, binding);

    public VirtQueueState? StopQueue(int index) => _queues.Stop(index);

    public void Reset() => _link.Reset();

    /// <summary>Stops what runs; the back end stays.</summary>
    public void Dispose()
    {
        _queues.Dispose();
        _link.Dispose();
    }

    void IVhostUserOwner.OnLost()
    {
    }

    /// <summary>The disk may have another size by now.</summary>
    void IVhostUserOwner.OnReturned() => Refresh();

    void IVhostUserOwner.OnConfigChanged() => Refresh();

    private void Refresh()
    {
        if (!TryReadBackend(out byte[] config) || config.AsSpan().SequenceEqual(Volatile.Read(ref _config)))
            return;
        Volatile.Write(ref _config, config);
        _link.Context?.Interrupt.SignalConfig();
    }

    /// <summary>What the back end says of the disk; the number of queues is ours.</summary>
    private bool TryReadBackend(out byte[] config)
    {
        config = new byte[ConfigBytes];
        bool read = _backend.TryReadConfig(config);
        BinaryPrimitives.WriteUInt16LittleEndian(config.AsSpan(QueuesOffset), (ushort)Identity.QueueSizes.Count);
        return read;
    }
}
