using KvmSharp.Core.Buses;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// Port 0x61, NMI status and speaker (Intel ICH9 §13.7.1). Only seen when KVM's PIT does not answer it. Timer 2's output follows its
/// gate, so that a calibration loop that waits for it ends. The refresh bit toggles with every read.
/// </summary>
public sealed class SystemControlB : IPioDevice
{
    public const ushort Port = 0x61;

    private const byte Writable = 0x0F;
    private const byte TimerGate = 0x01;
    private const byte Refresh = 0x10;
    private const byte TimerOutput = 0x20;

    private byte _value;
    private byte _refresh;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        if (data.Length != 1)
            return BusStatus.BadSize;
        _refresh ^= Refresh;
        data[0] = (byte)(_value | _refresh | ((_value & TimerGate) != 0 ? TimerOutput : 0));
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (data.Length != 1)
            return BusStatus.BadSize;
        _value = (byte)(data[0] & Writable);
        return BusStatus.Ok;
    }
}
