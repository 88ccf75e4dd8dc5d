using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// The ISA pvpanic device: one port by which a guest kernel says that it panicked. Linux finds it in ACPI as QEMU0001
/// (Linux drivers/misc/pvpanic). Stateless.
/// </summary>
public sealed class PvPanic(IMachineControl control) : IPioDevice
{
    /// <summary>The customary port.</summary>
    public const ushort DefaultPort = 0x505;

    private const byte Panicked = 1 << 0;
    private const byte CrashLoaded = 1 << 1;

    public BusStatus In(ushort offset, Span<byte> data)
    {
        data.Clear();
        data[0] = Panicked | CrashLoaded;
        return BusStatus.Ok;
    }

    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        // A guest with a crash kernel reports only "crash loaded" and goes on into that kernel.
        if ((data[0] & Panicked) != 0)
            control.Request(MachineRequest.GuestPanic);
        return BusStatus.Ok;
    }
}
