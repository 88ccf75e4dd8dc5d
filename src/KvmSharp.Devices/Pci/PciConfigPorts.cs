using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Chipset;

namespace KvmSharp.Devices.Pci;

/// <summary>Configuration mechanism 1 (PCI 3.0 §3.2.2.3.2): the address register at 0xCF8, a dword only, and the data window at 0xCFC.</summary>
public sealed class PciConfigPorts : IPioDevice, ISharedAccessLock
{
    public const ushort FirstPort = 0xCF8;
    public const int PortCount = 8;

    private const int DataOffset = 4;
    private const int ResetOffset = ResetControl.Port - FirstPort;
    private const uint Enable = 0x8000_0000;
    private const uint AddressBits = Enable | 0x00FF_FFFC;

    private readonly PciRoot _root;
    private readonly ResetControl? _resetControl;
    private uint _address;

    internal PciConfigPorts(PciRoot root, ResetControl? resetControl)
    {
        _root = root;
        _resetControl = resetControl;
    }

    /// <inheritdoc/>
    public Lock AccessLock => _root.AccessLock;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (offset < DataOffset)
        {
            if (offset == ResetOffset && data.Length == 1 && _resetControl is not null)
                return _resetControl.In(0, data);
            if (offset != 0 || data.Length != 4)
                return BusStatus.BadSize;
            BinaryPrimitives.WriteUInt32LittleEndian(data, _address);
            return BusStatus.Ok;
        }

        if ((_address & Enable) == 0)
            data.Fill(0xFF);
        else
            _root.ReadConfig((int)(_address >> 16) & 0xFF, (int)(_address >> 8) & 0xFF, (int)(_address & 0xFC) + offset - DataOffset, data);
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (offset < DataOffset)
        {
            if (offset == ResetOffset && data.Length == 1 && _resetControl is not null)
                return _resetControl.Out(0, data);
            if (offset != 0 || data.Length != 4)
                return BusStatus.BadSize;
            _address = BinaryPrimitives.ReadUInt32LittleEndian(data) & AddressBits;
            return BusStatus.Ok;
        }

        if ((_address & Enable) != 0)
            _root.WriteConfig((int)(_address >> 16) & 0xFF, (int)(_address >> 8) & 0xFF, (int)(_address & 0xFC) + offset - DataOffset, data);
        return BusStatus.Ok;
    }

    internal void Reset()
    {
        _address = 0;
        _resetControl?.Reset();
    }
}
