using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// The reset control register at port 0xCF9 (Intel ICH9 §13.7.5): a write with RST_CPU (bit 2) resets. The port lies inside the
/// PCI configuration address register, so with PCI the root's ports forward byte accesses here.
/// </summary>
public sealed class ResetControl(IMachineControl machine) : IPioDevice
{
    public const ushort Port = 0xCF9;

    private const byte ResetCpu = 0x04;
    private const byte Writable = 0x0A;

    private byte _value;

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
        _value = (byte)(data[0] & Writable);
        if ((data[0] & ResetCpu) != 0)
            machine.Request(MachineRequest.Reset);
        return BusStatus.Ok;
    }

    /// <summary>Back to power-on. vCPUs are stopped.</summary>
    public void Reset() => _value = 0;
}
