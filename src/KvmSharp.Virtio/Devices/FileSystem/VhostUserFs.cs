using System.Buffers.Binary;
using System.Text;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using KvmSharp.Virtio.Vhost;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Virtio.Devices.FileSystem;

/// <summary>
/// A file system of the host (virtio 1.2 §5.11) whose queues another process serves: one for what cannot wait, then those for requests. No shared memory
/// window (DAX), no notifications. Borrows the back end and the loop, on which it only watches the connection.
/// </summary>
public sealed class VhostUserFs : IVirtioDevice, IVhostUserOwner
{
    private const byte PciMassStorage = 1;
    private const int HighPriorityQueues = 1;
    private const int ConfigBytes = VirtioFsOptions.MaxTagBytes + sizeof(uint);

    private readonly VhostUserQueues _queues;
    private readonly VhostUserLink _link;
    private readonly byte[] _config = new byte[ConfigBytes];

    /// <summary>Throws <see cref="BackendException"/> if the back end cannot serve it.</summary>
    public VhostUserFs(VirtioFsOptions options, VhostUserBackend backend, EventLoop loop, ILogger logger)
    {
        if ((backend.Features & VirtioFeatures.Version1) == 0)
            throw new BackendException($"{options.Name}: its vhost-user back end is too old: it lacks VIRTIO_F_VERSION_1");
        int queues = HighPriorityQueues + options.Queues;
        if (queues > backend.QueueLimit)
            throw new BackendException($"{options.Name}: its vhost-user back end serves {backend.QueueLimit - HighPriorityQueues} request queues, not {options.Queues}");
        Encoding.UTF8.GetBytes(options.Tag, _config.AsSpan(0, VirtioFsOptions.MaxTagBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(_config.AsSpan(VirtioFsOptions.MaxTagBytes), (uint)options.Queues);
        Identity = new VirtioIdentity
        {
            Name = options.Name,
            DeviceId = VirtioIds.VIRTIO_ID_FS,
            RingFeatures = backend.Features,
            ConfigLength = ConfigBytes,
            QueueSizes = [.. Enumerable.Repeat(options.QueueSize, queues)],
            PciBaseClass = PciMassStorage,
        };
        _queues = new VhostUserQueues(backend, loop, queues);
        _link = new VhostUserLink(backend, loop, logger, this);
        _link.Start();
    }

    public VirtioIdentity Identity { get; }

    public void ReadConfig(uint offset, Span<byte> data) => _config.AsSpan((int)offset, data.Length).CopyTo(data);

    /// <summary>Nothing in it can be written.</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
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

    void IVhostUserOwner.OnReturned()
    {
    }

    /// <summary>Its configuration is ours.</summary>
    void IVhostUserOwner.OnConfigChanged()
    {
    }
}
