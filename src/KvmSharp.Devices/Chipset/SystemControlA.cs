using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Chipset;

/// <summary>Port 0x92 (Intel ICH9 §13.7.4): bit 0 going high resets the machine, bit 1 is the A20 gate, which is always open and only remembered.</summary>
public sealed class SystemControlA(IMachineControl machine) : IPioDevice
{
    public const ushort Port = 0x92;

    private const byte FastReset = 0x01;
    private const byte A20 = 0x02;

    private byte _value = A20;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (data.Length != 1)
            return BusStatus.BadSize;
        data[0] = _value;
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (data.Length != 1)
            return BusStatus.BadSize;
        if ((data[0] & ~_value & FastReset) != 0)
            machine.Request(MachineRequest.Reset);
        // The reset bit of the value before the reset must not survive it.
        _value = (byte)(data[0] & A20);
        return BusStatus.Ok;
    }
}
