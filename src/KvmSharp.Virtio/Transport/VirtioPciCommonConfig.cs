using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Virtio.VirtioPci;

namespace KvmSharp.Virtio.Transport;

/// <summary>The common configuration structure (virtio 1.2 §4.1.4.3). Fields are accessed at their own width; 64-bit ones also by halves.</summary>
internal sealed class VirtioPciCommonConfig(VirtioTransportCore core, VirtioPciVectors vectors) : IMmioDevice
{
    public const uint Length = 0x40;

    private uint _offeredSelect;
    private uint _driverSelect;
    private ushort _queueSelect;

    /// <summary>Device reset takes the selectors back as well.</summary>
    public void Reset()
    {
        _offeredSelect = 0;
        _driverSelect = 0;
        _queueSelect = 0;
    }

    public BusStatus Read(ulong offset, Span<byte> data)
    {
        BusStatus status = CheckWidth(offset, data.Length);
        if (status != BusStatus.Ok)
            return status;
        switch (data.Length)
        {
            case 1:
                data[0] = (byte)ReadField((uint)offset);
                break;
            case 2:
                BinaryPrimitives.WriteUInt16LittleEndian(data, (ushort)ReadField((uint)offset));
                break;
            case 4:
                BinaryPrimitives.WriteUInt32LittleEndian(data, ReadField((uint)offset));
                break;
            default:
                BinaryPrimitives.WriteUInt64LittleEndian(data, ReadField((uint)offset) | (ulong)ReadField((uint)offset + 4) << 32);
                break;
        }

        return BusStatus.Ok;
    }

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data)
    {
        BusStatus status = CheckWidth(offset, data.Length);
        if (status != BusStatus.Ok)
            return status;
        switch (data.Length)
        {
            case 1:
                WriteField((uint)offset, data[0]);
                break;
            case 2:
                WriteField((uint)offset, BinaryPrimitives.ReadUInt16LittleEndian(data));
                break;
            case 4:
                WriteField((uint)offset, BinaryPrimitives.ReadUInt32LittleEndian(data));
                break;
            default:
                WriteField((uint)offset, BinaryPrimitives.ReadUInt32LittleEndian(data));
                WriteField((uint)offset + 4, BinaryPrimitives.ReadUInt32LittleEndian(data[4..]));
                break;
        }

        return BusStatus.Ok;
    }

    private static BusStatus CheckWidth(ulong offset, int length)
    {
        int width = offset switch
        {
            VIRTIO_PCI_COMMON_DFSELECT or VIRTIO_PCI_COMMON_DF or VIRTIO_PCI_COMMON_GFSELECT or VIRTIO_PCI_COMMON_GF => 4,
            VIRTIO_PCI_COMMON_STATUS or VIRTIO_PCI_COMMON_CFGGENERATION => 1,
            VIRTIO_PCI_COMMON_MSIX or VIRTIO_PCI_COMMON_NUMQ or VIRTIO_PCI_COMMON_Q_SELECT or VIRTIO_PCI_COMMON_Q_SIZE
                or VIRTIO_PCI_COMMON_Q_MSIX or VIRTIO_PCI_COMMON_Q_ENABLE or VIRTIO_PCI_COMMON_Q_NOFF
                or VIRTIO_PCI_COMMON_Q_NDATA or VIRTIO_PCI_COMMON_Q_RESET => 2,
            >= VIRTIO_PCI_COMMON_Q_DESCLO and < VIRTIO_PCI_COMMON_Q_NDATA when offset % 4 == 0 => 4,
            _ => 0,
        };
        if (width == 0)
            return BusStatus.NoRegister;
        bool wide = offset is VIRTIO_PCI_COMMON_Q_DESCLO or VIRTIO_PCI_COMMON_Q_AVAILLO or VIRTIO_PCI_COMMON_Q_USEDLO;
        return length == width || (wide && length == 8) ? BusStatus.Ok : BusStatus.BadSize;
    }

    private uint ReadField(uint offset) => offset switch
    {
        VIRTIO_PCI_COMMON_DFSELECT => _offeredSelect,
        VIRTIO_PCI_COMMON_DF => core.ReadOfferedFeatures(_offeredSelect),
        VIRTIO_PCI_COMMON_GFSELECT => _driverSelect,
        VIRTIO_PCI_COMMON_GF => core.ReadDriverFeatures(_driverSelect),
        VIRTIO_PCI_COMMON_MSIX => vectors.Config,
        VIRTIO_PCI_COMMON_NUMQ => (uint)core.QueueCount,
        VIRTIO_PCI_COMMON_STATUS => core.Status,
        VIRTIO_PCI_COMMON_CFGGENERATION => core.ReadGeneration(),
        VIRTIO_PCI_COMMON_Q_SELECT => _queueSelect,
        _ => core.FindQueue(_queueSelect) is { } queue ? ReadQueueField(offset, queue) : 0,
    };

    private uint ReadQueueField(uint offset, TransportQueue queue) => offset switch
    {
        VIRTIO_PCI_COMMON_Q_SIZE => queue.Config.Size,
        VIRTIO_PCI_COMMON_Q_MSIX => vectors.GetQueue(_queueSelect),
        VIRTIO_PCI_COMMON_Q_ENABLE => queue.Config.Enabled ? 1u : 0,
        VIRTIO_PCI_COMMON_Q_NOFF or VIRTIO_PCI_COMMON_Q_NDATA => _queueSelect,
        VIRTIO_PCI_COMMON_Q_DESCLO => (uint)queue.Config.DescriptorArea.Value,
        VIRTIO_PCI_COMMON_Q_DESCHI => (uint)(queue.Config.DescriptorArea.Value >> 32),
        VIRTIO_PCI_COMMON_Q_AVAILLO => (uint)queue.Config.DriverArea.Value,
        VIRTIO_PCI_COMMON_Q_AVAILHI => (uint)(queue.Config.DriverArea.Value >> 32),
        VIRTIO_PCI_COMMON_Q_USEDLO => (uint)queue.Config.DeviceArea.Value,
        VIRTIO_PCI_COMMON_Q_USEDHI => (uint)(queue.Config.DeviceArea.Value >> 32),
        // Queue reset is complete when the write that asks for it is.
        _ => 0,
    };

    private void WriteField(uint offset, uint value)
    {
        switch (offset)
        {
            case VIRTIO_PCI_COMMON_DFSELECT:
                _offeredSelect = value;
                break;
            case VIRTIO_PCI_COMMON_GFSELECT:
                _driverSelect = value;
                break;
            case VIRTIO_PCI_COMMON_GF:
                core.WriteDriverFeatures(_driverSelect, value);
                break;
            case VIRTIO_PCI_COMMON_MSIX:
                vectors.SetConfig((ushort)value);
                break;
            case VIRTIO_PCI_COMMON_STATUS:
                core.WriteStatus((byte)value);
                if (value == 0)
                {
                    Reset();
                    vectors.Reset();
                }

                break;
            case VIRTIO_PCI_COMMON_Q_SELECT:
                _queueSelect = (ushort)value;
                break;
            case VIRTIO_PCI_COMMON_Q_MSIX:
                vectors.SetQueue(_queueSelect, (ushort)value);
                break;
            default:
                if (core.FindQueue(_queueSelect) is { } queue)
                    WriteQueueField(offset, value, queue);
                break;
        }
    }

    private void WriteQueueField(uint offset, uint value, TransportQueue queue)
    {
        if (offset == VIRTIO_PCI_COMMON_Q_RESET)
        {
            if (value == 1 && (core.DriverFeatures & VirtioFeatures.RingReset) != 0)
            {
                core.ResetQueue(_queueSelect);
                vectors.SetQueue(_queueSelect, VIRTIO_MSI_NO_VECTOR);
            }

            return;
        }

        // What a running queue works with cannot be changed under it.
        if (queue.Config.Enabled)
            return;
        if (offset == VIRTIO_PCI_COMMON_Q_ENABLE)
        {
            if (value == 1)
                core.EnableQueue(_queueSelect);
        }
        else if (offset == VIRTIO_PCI_COMMON_Q_SIZE)
        {
            if (value != 0 && value <= queue.MaxSize)
                queue.Config.Size = (ushort)value;
        }
        else
        {
            QueueAreas.Write(queue.Config, (int)(offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 8, high: offset % 8 != 0, value);
        }
    }
}
