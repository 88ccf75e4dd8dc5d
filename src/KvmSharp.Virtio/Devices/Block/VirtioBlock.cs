using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// A disk (virtio 1.2 §5.2): multiqueue, with flush, discard, write zeroes, a write cache the guest may turn off, and capacity changes
/// while it runs. Queue i lives on loop i modulo their number. Owns its back end, not the loops, which must run while queues do.
/// </summary>
public sealed class VirtioBlock : IVirtioDevice, IBlockQueueOwner, IEventSink
{
    private const byte PciMassStorage = 1;
    private const uint WriteCacheOffset = 32;

    private readonly VirtioBlockOptions _options;
    private readonly IReadOnlyList<EventLoop> _loops;
    private readonly BlockDisk _disk;
    private readonly EventTimer? _capacityTimer;
    private readonly BlockQueueWorker?[] _workers;
    private VirtioContext? _context;

    // 1: the size has changed, and no driver has been told.
    private int _untold;

    /// <summary>Throws <see cref="ArgumentException"/> for options outside their ranges.</summary>
    public VirtioBlock(VirtioBlockOptions options, IBlockBackend backend, IReadOnlyList<EventLoop> loops)
    {
        ArgumentOutOfRangeException.ThrowIfZero(loops.Count, nameof(loops));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Queues, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Queues, VirtioBlockOptions.QueueLimit, nameof(options));
        bool sizeFits = ushort.IsPow2(options.QueueSize) && options.QueueSize is >= VirtioBlockOptions.MinQueueSize and <= VirtioBlockOptions.MaxQueueSize;
        ArgumentOutOfRangeException.ThrowIfEqual(sizeFits, false, nameof(options));
        _options = options;
        _loops = loops;
        _disk = new BlockDisk(backend, EncodeSerial(options.Serial)) { WriteThrough = !backend.Limits.WriteCache };
        _workers = new BlockQueueWorker?[options.Queues];
        Identity = new VirtioIdentity
        {
            Name = options.Name,
            DeviceId = VirtioIds.VIRTIO_ID_BLOCK,
            DeviceFeatures = OfferedFeatures(backend.Limits, options),
            ConfigLength = (uint)Unsafe.SizeOf<virtio_blk_config>(),
            QueueSizes = [.. Enumerable.Repeat(options.QueueSize, options.Queues)],
            PciBaseClass = PciMassStorage,
            PciSubclass = 0,
        };
        if (options.CapacityCheckNs > 0)
            _capacityTimer = new EventTimer(loops[0], this, 0);
    }

    public VirtioIdentity Identity { get; }

    public void ReadConfig(uint offset, Span<byte> data)
    {
        virtio_blk_config config = BlockConfigSpace.Build(_disk.Backend, _options, writeCache: !_disk.WriteThrough);
        MemoryMarshal.AsBytes(new ReadOnlySpan<virtio_blk_config>(in config)).Slice((int)offset, data.Length).CopyTo(data);
    }

    /// <summary>Only the write cache byte can be written, and only if that was negotiated (§5.2.5.2).</summary>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
        if (offset > WriteCacheOffset || offset + (uint)data.Length <= WriteCacheOffset || _context is null || !_context.Has(1UL << VIRTIO_BLK_F_CONFIG_WCE))
            return;
        _disk.WriteThrough = data[(int)(WriteCacheOffset - offset)] == 0;
    }

    public void Activate(VirtioContext context)
    {
        // A driver that can neither flush nor turn the cache off relies on every write being stable (§5.2.6.2).
        bool canFlush = context.Has(1UL << VIRTIO_BLK_F_FLUSH) || context.Has(1UL << VIRTIO_BLK_F_CONFIG_WCE);
        _disk.WriteThrough = !_disk.Backend.Limits.WriteCache || !canFlush;
        Volatile.Write(ref _context, context);
        // The other side changes the size first and looks for a context then: one of the two sees both.
        Interlocked.MemoryBarrier();
        Tell(context);
        _capacityTimer?.Arm(_options.CapacityCheckNs, _options.CapacityCheckNs);
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (_workers[index] is not null || !binding.TryOpen(out VirtQueue? queue))
            return;
        try
        {
            BlockQueueWorker worker = new(this, index, queue, binding.Config.SegmentLimit, binding.Kick, _loops[index % _loops.Count], _disk);
            _workers[index] = worker;
            worker.Start();
        }
        catch (Exception error) when (error is LinuxException or BackendException)
        {
            binding.Context.NeedsReset($"queue {index}: {error.Message}");
        }
    }

    public VirtQueueState? StopQueue(int index)
    {
        if (_workers[index] is not { } worker)
            return null;
        _workers[index] = null;
        VirtQueueState state = worker.Stop();
        worker.Dispose();
        return state;
    }

    public void Reset()
    {
        _capacityTimer?.Disarm();
        _disk.WriteThrough = !_disk.Backend.Limits.WriteCache;
        Volatile.Write(ref _context, null);
    }

    /// <summary>Asks the host for the size of the disk; if it changed, the guest is told, by the next activation if it has none. Any thread.</summary>
    public void CheckCapacity()
    {
        if (!_disk.Backend.RefreshCapacity())
            return;
        Interlocked.Exchange(ref _untold, 1);
        if (Volatile.Read(ref _context) is { } context)
            Tell(context);
    }

    /// <summary>Stops what runs and closes the disk.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _workers.Length; i++)
            StopQueue(i);
        _capacityTimer?.Dispose();
        _disk.Backend.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents) => CheckCapacity();

    void IBlockQueueOwner.SignalQueue(int index) => _context!.Interrupt.SignalQueue(index);

    void IBlockQueueOwner.OnQueueFault(int index, VirtQueueFault fault) => _context!.NeedsReset($"queue {index}: {fault}");

    void IBlockQueueOwner.OnMalformedRequest(int index) => _context!.NeedsReset($"queue {index}: request without header or room for its status");

    private void Tell(VirtioContext context)
    {
        if (Interlocked.Exchange(ref _untold, 0) != 0)
            context.Interrupt.SignalConfig();
    }

    private static ulong OfferedFeatures(BlockLimits limits, VirtioBlockOptions options)
    {
        ulong features = 1UL << VIRTIO_BLK_F_SEG_MAX | 1UL << VIRTIO_BLK_F_BLK_SIZE | 1UL << VIRTIO_BLK_F_TOPOLOGY;
        // From this a driver concludes that there is a write cache, and flushes for it (§5.2.5.2).
        features |= limits.WriteCache ? 1UL << VIRTIO_BLK_F_FLUSH : 0;
        features |= limits.ReadOnly ? 1UL << VIRTIO_BLK_F_RO : 0;
        features |= limits is { WriteCache: true, ReadOnly: false } ? 1UL << VIRTIO_BLK_F_CONFIG_WCE : 0;
        features |= options.Queues > 1 ? 1UL << VIRTIO_BLK_F_MQ : 0;
        features |= limits.SupportsDiscard ? 1UL << VIRTIO_BLK_F_DISCARD : 0;
        features |= limits.SupportsWriteZeroes ? 1UL << VIRTIO_BLK_F_WRITE_ZEROES : 0;
        return features;
    }

    private static byte[] EncodeSerial(string serial)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(serial);
        if (bytes.Length > VIRTIO_BLK_ID_BYTES)
            throw new ArgumentException($"serial '{serial}' is longer than {VIRTIO_BLK_ID_BYTES} bytes", nameof(serial));
        Array.Resize(ref bytes, VIRTIO_BLK_ID_BYTES);
        return bytes;
    }
}
