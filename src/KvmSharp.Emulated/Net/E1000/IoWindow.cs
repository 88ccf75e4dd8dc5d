using System.Buffers.Binary;
using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>The I/O BAR (manual §13.2.1): IOADDR chooses a register of the memory BAR, IODATA is it.</summary>
internal sealed class IoWindow(RegisterBank bank) : IPioDevice, ISharedAccessLock
{
    /// <summary>Ports.</summary>
    public const int Length = 64;

    private const ushort IoAddress = 0, IoData = 4;

    private uint _address;

    public Lock AccessLock => bank.AccessLock;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (offset == IoData)
            return bank.Read(_address, data);
        if (offset != IoAddress)
            return BusStatus.NoRegister;
        if (data.Length != 4)
            return BusStatus.BadSize;
        BinaryPrimitives.WriteUInt32LittleEndian(data, _address);
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (offset == IoData)
            return bank.Write(_address, data);
        if (offset != IoAddress)
            return BusStatus.NoRegister;
        if (data.Length != 4)
            return BusStatus.BadSize;
        _address = BinaryPrimitives.ReadUInt32LittleEndian(data);
        return BusStatus.Ok;
    }

    public void Reset() => _address = 0;
}
