using KvmSharp.Core.Fabric;

namespace KvmSharp.Devices.Buses;

/// <summary>Sends vCPU I/O exits to the port and MMIO buses and counts them per device. No allocation, no lock of its own.</summary>
public sealed class BusExitHandler(PioBus pio, MmioBus mmio, DeviceExitCounters counters) : IVmExitHandler
{
    public DeviceExitCounters Counters { get; } = counters;

    public void PioIn(int vcpuIndex, ushort port, Span<byte> data) => Counters.CountRead(vcpuIndex, pio.In(port, data));

    public void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data) => Counters.CountWrite(vcpuIndex, pio.Out(port, data));

    public void MmioRead(int vcpuIndex, ulong address, Span<byte> data) => Counters.CountRead(vcpuIndex, mmio.Read(address, data));

    public void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data) => Counters.CountWrite(vcpuIndex, mmio.Write(address, data));
}
