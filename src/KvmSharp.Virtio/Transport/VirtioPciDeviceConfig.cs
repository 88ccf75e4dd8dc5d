using KvmSharp.Core.Buses;

namespace KvmSharp.Virtio.Transport;

/// <summary>The device-specific configuration as a part of the BAR, at any width.</summary>
internal sealed class VirtioPciDeviceConfig(VirtioTransportCore core) : IMmioDevice
{
    public BusStatus Read(ulong offset, Span<byte> data) => core.TryReadConfig(offset, data) ? BusStatus.Ok : BusStatus.NoRegister;

    public BusStatus Write(ulong offset, ReadOnlySpan<byte> data) => core.TryWriteConfig(offset, data) ? BusStatus.Ok : BusStatus.NoRegister;
}
