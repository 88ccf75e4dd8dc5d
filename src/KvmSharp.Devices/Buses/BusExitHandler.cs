using KvmSharp.Core.Fabric;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Devices.Buses;

/// <summary>Sends vCPU I/O exits to the port and MMIO buses and counts them per device. No allocation, no lock of its own.</summary>
public sealed class BusExitHandler(PioBus pio, MmioBus mmio, DeviceExitCounters counters) : IVmExitHandler
{
    public DeviceExitCounters Counters { get; } = counters;

    public void PioIn(int vcpuIndex, ushort port, Span<byte> data) => CountRead(vcpuIndex, pio.In(port, data));

    public void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data) => CountWrite(vcpuIndex, pio.Out(port, data));

    public void MmioRead(int vcpuIndex, ulong address, Span<byte> data) => CountRead(vcpuIndex, mmio.Read(address, data));

    public void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data) => CountWrite(vcpuIndex, mmio.Write(address, data));

    private void CountRead(int vcpuIndex, int slot)
    {
        Counters.CountRead(vcpuIndex, slot);
        if (Tracer.IsOn)
            Tracer.SetSubject(Counters.TraceNameOf(slot));
    }

    private void CountWrite(int vcpuIndex, int slot)
    {
        Counters.CountWrite(vcpuIndex, slot);
        if (Tracer.IsOn)
            Tracer.SetSubject(Counters.TraceNameOf(slot));
    }
}
