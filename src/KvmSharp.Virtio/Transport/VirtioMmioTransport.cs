using System.Buffers.Binary;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioMmio;

namespace KvmSharp.Virtio.Transport;

/// <summary>
/// A virtio device behind memory-mapped registers, version 2 (virtio 1.2 §4.2). Register it on the MMIO bus at
/// <see cref="Address"/>; whoever writes the ACPI tables announces it as LNRO0005 with that range and <see cref="Gsi"/>.
/// Owns the device.
/// </summary>
public sealed class VirtioMmioTransport : IMmioDevice, ISharedAccessLock, IVirtioTransport
{
    /// <summary>Bytes of register space.</summary>
    public const ulong Length = 0x1000;

    private const uint Magic = 0x7472_6976;
    private const uint VendorId = 0x1af4;

    private readonly VirtioTransportCore _core;
    private readonly VirtioMmioLine _line;
    private uint _offeredSelect;
    private uint _driverSelect;
    private uint _queueSelect;

    /// <param name="address">Where the registers will be; a multiple of 4096.</param>
    /// <param name="line">Level-triggered, active high.</param>
    public VirtioMmioTransport(IVirtioDevice device, GuestMemory memory, ulong address, IIrqLine line, IDoorbellFabric doorbells, VirtioTransportOptions? options = null)
    {
        options ??= new VirtioTransportOptions();
        Address = address;
        Gsi = line.Gsi;
        _line = new VirtioMmioLine(line);
        _core = new VirtioTransportCore(device, memory, _line, new VirtioMmioDoorbells(doorbells, address, device.Identity.QueueSizes.Count, options.Logger), options);
    }

    /// <summary>Guest physical address of the registers.</summary>
    public ulong Address { get; }

    public uint Gsi { get; }

    /// <inheritdoc/>
    public Lock AccessLock => _core.AccessLock;

    public BusStatus Read(ulong offset, Span<byte> data)
    {
        if (offset >= VIRTIO_MMIO_CONFIG)
            return _core.TryReadConfig(offset - VIRTIO_MMIO_CONFIG, data) ? BusStatus.Ok : BusStatus.NoRegister;
        BusStatus status = Check(offset, data.Length);
        if (status == BusStatus.Ok)
            BinaryPrimitives.WriteUInt32LittleEndian(data, ReadRegister((uint)offset));
        return status;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset >= VIRTIO_MMIO_CONFIG)
            return _core.TryWriteConfig(offset - VIRTIO_MMIO_CONFIG, data) ? BusStatus.Ok : BusStatus.NoRegister;
        BusStatus status = Check(offset, data.Length);
        return status == BusStatus.Ok ? WriteRegister((uint)offset, BinaryPrimitives.ReadUInt32LittleEndian(data)) : status;
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (AccessLock)
            _core.Pause();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (AccessLock)
            _core.Resume();
    }

    /// <summary>Stops and disposes the device. It must be off the bus, or no vCPU run any more.</summary>
    public void Dispose()
    {
        lock (AccessLock)
            _core.Dispose();
    }

    private static BusStatus Check(ulong offset, int length) =>
        length != 4 ? BusStatus.BadSize : offset % 4 != 0 ? BusStatus.Unaligned : BusStatus.Ok;

    private uint ReadRegister(uint offset) => offset switch
    {
        VIRTIO_MMIO_MAGIC_VALUE => Magic,
        VIRTIO_MMIO_VERSION => 2,
        VIRTIO_MMIO_DEVICE_ID => _core.Identity.DeviceId,
        VIRTIO_MMIO_VENDOR_ID => VendorId,
        VIRTIO_MMIO_DEVICE_FEATURES => _core.ReadOfferedFeatures(_offeredSelect),
        VIRTIO_MMIO_QUEUE_NUM_MAX => _core.FindQueue(_queueSelect)?.MaxSize ?? 0u,
        VIRTIO_MMIO_QUEUE_READY => _core.FindQueue(_queueSelect) is { Config.Enabled: true } ? 1u : 0,
        VIRTIO_MMIO_INTERRUPT_STATUS => _line.Status,
        VIRTIO_MMIO_STATUS => _core.Status,
        VIRTIO_MMIO_CONFIG_GENERATION => _core.ReadGeneration(),
        // A shared memory region that does not exist has this length (virtio 1.2 §4.2.2).
        VIRTIO_MMIO_SHM_LEN_LOW or VIRTIO_MMIO_SHM_LEN_HIGH or VIRTIO_MMIO_SHM_BASE_LOW or VIRTIO_MMIO_SHM_BASE_HIGH => uint.MaxValue,
        _ => 0,
    };

    private BusStatus WriteRegister(uint offset, uint value)
    {
        switch (offset)
        {
            case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
                _offeredSelect = value;
                break;
            case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
                _driverSelect = value;
                break;
            case VIRTIO_MMIO_DRIVER_FEATURES:
                _core.WriteDriverFeatures(_driverSelect, value);
                break;
            case VIRTIO_MMIO_QUEUE_SEL:
                _queueSelect = value;
                break;
            case VIRTIO_MMIO_QUEUE_NOTIFY:
                // With VIRTIO_F_NOTIFICATION_DATA the upper half holds the cursor.
                _core.Kick((ushort)value);
                break;
            case VIRTIO_MMIO_INTERRUPT_ACK:
                _line.Acknowledge(value);
                break;
            case VIRTIO_MMIO_STATUS:
                WriteStatus((byte)value);
                break;
            default:
                if (_core.FindQueue(_queueSelect) is { } queue)
                    WriteQueueRegister(offset, value, queue);
                break;
        }

        return BusStatus.Ok;
    }

    private void WriteStatus(byte value)
    {
        _core.WriteStatus(value);
        if (value != 0)
            return;
        _offeredSelect = 0;
        _driverSelect = 0;
        _queueSelect = 0;
        _line.Acknowledge(uint.MaxValue);
    }

    private void WriteQueueRegister(uint offset, uint value, TransportQueue queue)
    {
        if (offset == VIRTIO_MMIO_QUEUE_RESET)
        {
            if (value == 1 && (_core.DriverFeatures & VirtioFeatures.RingReset) != 0)
                _core.ResetQueue((int)_queueSelect);
            return;
        }

        if (offset == VIRTIO_MMIO_QUEUE_READY)
        {
            // Zero is what a driver writes to take the queue back (virtio 1.2 §4.2.2).
            if (value == 1)
                _core.EnableQueue((int)_queueSelect);
            else if (value == 0 && queue.Config.Enabled)
                _core.ResetQueue((int)_queueSelect);
            return;
        }

        // What a running queue works with cannot be changed under it.
        if (queue.Config.Enabled)
            return;
        if (offset == VIRTIO_MMIO_QUEUE_NUM)
        {
            if (value != 0 && value <= queue.MaxSize)
                queue.Config.Size = (ushort)value;
        }
        else if (offset is >= VIRTIO_MMIO_QUEUE_DESC_LOW and <= VIRTIO_MMIO_QUEUE_USED_HIGH && offset % 16 < 8)
        {
            QueueAreas.Write(queue.Config, (int)(offset - VIRTIO_MMIO_QUEUE_DESC_LOW) / 16, high: offset % 8 != 0, value);
        }
    }
}
