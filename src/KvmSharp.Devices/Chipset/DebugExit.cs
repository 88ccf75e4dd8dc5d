using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// A port whose write ends the process with the status <c>value &lt;&lt; 1 | 1</c>, for bare test kernels. Any width is taken; Linux
/// keeps only the low 8 bits of an exit status, so values that differ in bit 7 and up cannot be told apart by a shell.
/// </summary>
public sealed class DebugExit(IMachineControl machine) : IPioDevice
{
    public const ushort DefaultPort = 0xF4;
    public const int PortCount = 4;

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        data.Clear();
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        uint value = 0;
        for (int i = 0; i < data.Length && i < sizeof(uint); i++)
            value |= (uint)data[i] << (8 * i);
        machine.RequestExit(unchecked((int)((value << 1) | 1)));
        return BusStatus.Ok;
    }
}
