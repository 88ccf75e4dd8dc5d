using KvmSharp.Core;
using KvmSharp.Core.Logging;
using KvmSharp.Core.Memory;
using KvmSharp.Core.Tracing;
using KvmSharp.Virtio.Queues;
using Microsoft.Extensions.Logging;
using static KvmSharp.Abi.Virtio.VirtioConfig;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// What all transports have in common (virtio 1.2 §2, §3): status, feature negotiation, queue configuration, queue reset,
/// configuration generation, DEVICE_NEEDS_RESET. Every member but <see cref="NeedsReset"/> is called under
/// <see cref="AccessLock"/>, which serialises register accesses and the control plane.
/// </summary>
internal sealed class VirtioTransportCore : IVirtioFaultSink, IDisposable
{
    // wiring
    private readonly IVirtioDevice _device;
    private readonly GuestMemory _memory;
    private readonly IVirtioInterrupt _interrupt;
    private readonly IQueueDoorbells _doorbells;
    private readonly VirtioTransportOptions _options;
    private readonly LogGate _faultGate = new();
    private readonly TransportQueue[] _queues;

    // volatile state
    private ulong _driverFeatures;
    private int _status;
    private bool _paused;
    private VirtioContext? _context;
    private byte[] _configSeen;
    private byte[] _configNow;
    private uint _generation;

    public VirtioTransportCore(IVirtioDevice device, GuestMemory memory, IVirtioInterrupt interrupt, IQueueDoorbells doorbells, VirtioTransportOptions options)
    {
        _device = device;
        _memory = memory;
        _interrupt = interrupt;
        _doorbells = doorbells;
        _options = options;
        _configSeen = new byte[Identity.ConfigLength];
        _configNow = new byte[Identity.ConfigLength];
        _queues = new TransportQueue[Identity.QueueSizes.Count];
        for (int i = 0; i < _queues.Length; i++)
            _queues[i] = new TransportQueue(Identity.QueueSizes[i], Identity.SegmentLimit, TraceName.Of($"{Identity.Name} queue {i}"));
        OfferedFeatures = VirtioFeatures.Version1 | (options.RingFeatures & Identity.RingFeatures) | Identity.DeviceFeatures;
    }

    public Lock AccessLock { get; } = new();

    public VirtioIdentity Identity => _device.Identity;

    public ulong OfferedFeatures { get; }

    public ulong DriverFeatures => _driverFeatures;

    public int QueueCount => _queues.Length;

    public byte Status => (byte)Volatile.Read(ref _status);

    /// <summary>Null past the last queue.</summary>
    public TransportQueue? FindQueue(uint index) => index < (uint)_queues.Length ? _queues[index] : null;

    public uint ReadOfferedFeatures(uint select) => select < 2 ? (uint)(OfferedFeatures >> (int)(32 * select)) : 0;

    public uint ReadDriverFeatures(uint select) => select < 2 ? (uint)(_driverFeatures >> (int)(32 * select)) : 0;

    /// <summary>Ignored once they are settled.</summary>
    public void WriteDriverFeatures(uint select, uint value)
    {
        if (select >= 2 || (Status & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
            return;
        int shift = (int)(32 * select);
        _driverFeatures = _driverFeatures & ~(0xffff_ffffUL << shift) | (ulong)value << shift;
    }

    /// <summary>Zero resets; otherwise bits can only be added, and only in an order that makes sense.</summary>
    public void WriteStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }

        int added = value & ~Status & ~VIRTIO_CONFIG_S_NEEDS_RESET;
        if ((added & VIRTIO_CONFIG_S_FEATURES_OK) != 0 && !AreFeaturesAcceptable())
            added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
        bool settled = ((Status | added) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
        if (!settled)
            added &= ~VIRTIO_CONFIG_S_DRIVER_OK;
        Interlocked.Or(ref _status, added);
        if ((added & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
            Activate();
    }

    /// <summary>The driver enables a queue; with the device running it starts at once.</summary>
    public void EnableQueue(int index)
    {
        TransportQueue queue = _queues[index];
        if (queue.Config.Enabled)
            return;
        queue.Config.Enabled = true;
        StartQueue(index);
    }

    /// <summary>VIRTIO_F_RING_RESET (virtio 1.2 §2.6.1): done when it returns.</summary>
    public void ResetQueue(int index)
    {
        StopQueue(index);
        _queues[index].Reset();
    }

    /// <summary>A notification that came as a register write, on a vCPU thread.</summary>
    public void Kick(uint index)
    {
        if (FindQueue(index) is { Running: true } queue)
            queue.Kick.Signal();
    }

    /// <summary>False outside the configuration.</summary>
    public bool TryReadConfig(ulong offset, Span<byte> data)
    {
        if (!IsInConfig(offset, data.Length))
            return false;
        _device.ReadConfig((uint)offset, data);
        return true;
    }

    /// <inheritdoc cref="TryReadConfig"/>
    public bool TryWriteConfig(ulong offset, ReadOnlySpan<byte> data)
    {
        if (!IsInConfig(offset, data.Length))
            return false;
        _device.WriteConfig((uint)offset, data);
        return true;
    }

    /// <summary>
    /// Differs from the last one read if the configuration does. Comparing here, rather than counting the device's announcements,
    /// is exact: what the driver read between two equal generations is from one configuration.
    /// </summary>
    public uint ReadGeneration()
    {
        _device.ReadConfig(0, _configNow);
        if (!_configNow.AsSpan().SequenceEqual(_configSeen))
        {
            (_configSeen, _configNow) = (_configNow, _configSeen);
            _generation++;
        }

        return _generation;
    }

    /// <summary>Stops the queues where they are. Idempotent.</summary>
    public void Pause()
    {
        _paused = true;
        for (int i = 0; i < _queues.Length; i++)
            StopQueue(i);
    }

    /// <summary>Starts them again.</summary>
    public void Resume()
    {
        _paused = false;
        for (int i = 0; i < _queues.Length; i++)
            StartQueue(i);
    }

    /// <summary>Device reset, whatever state it is in.</summary>
    public void Reset()
    {
        for (int i = 0; i < _queues.Length; i++)
            ResetQueue(i);
        _device.Reset();
        _context = null;
        _driverFeatures = 0;
        Volatile.Write(ref _status, 0);
    }

    /// <inheritdoc/>
    public void NeedsReset(string reason)
    {
        int before = Interlocked.Or(ref _status, VIRTIO_CONFIG_S_NEEDS_RESET);
        if (_faultGate.TryPass(out int suppressed))
            _options.Logger.LogWarning("{Device} needs a reset: {Reason} ({Suppressed} messages suppressed)", Identity.Name, reason, suppressed);
        // The driver is told only of a device that it has started (virtio 1.2 §2.1.2).
        if ((before & VIRTIO_CONFIG_S_NEEDS_RESET) == 0 && (before & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
            _interrupt.SignalConfig();
    }

    /// <summary>Stops and disposes the device.</summary>
    public void Dispose()
    {
        Reset();
        _device.Dispose();
        foreach (TransportQueue queue in _queues)
            queue.Dispose();
    }

    private bool AreFeaturesAcceptable() =>
        (_driverFeatures & ~OfferedFeatures) == 0 && (_driverFeatures & VirtioFeatures.Version1) != 0;

    private bool IsInConfig(ulong offset, int length) =>
        offset <= Identity.ConfigLength && (ulong)length <= Identity.ConfigLength - offset;

    private void Activate()
    {
        _context = new VirtioContext(_driverFeatures, _memory, _interrupt, this);
        try
        {
            _device.Activate(_context);
        }
        catch (LinuxException exception)
        {
            NeedsReset(exception.Message);
            return;
        }

        for (int i = 0; i < _queues.Length; i++)
            StartQueue(i);
    }

    private void StartQueue(int index)
    {
        TransportQueue queue = _queues[index];
        if (_context is null || _paused || queue.Running || !queue.Config.Enabled)
            return;
        VirtQueueState state = queue.State ?? VirtQueueState.Initial(_context.Features);
        try
        {
            _device.StartQueue(index, new VirtQueueBinding(index, queue.Config.Clone(), queue.Kick, state, _context) { IsFresh = queue.State is null });
        }
        catch (LinuxException exception)
        {
            NeedsReset(exception.Message);
            return;
        }

        queue.Running = true;
        if (_options.IoEventFd)
            _doorbells.Attach(index, queue.Kick);
        // Buffers may have been made available while nobody was looking.
        queue.Kick.Signal();
    }

    private void StopQueue(int index)
    {
        TransportQueue queue = _queues[index];
        if (!queue.Running)
            return;
        _doorbells.Detach(index);
        queue.State = _device.StopQueue(index) ?? queue.State;
        queue.Running = false;
    }
}
