namespace KvmSharp.Core.Fabric;

/// <summary>
/// Where a vCPU's I/O exits go. Implemented by the machine's buses; called on the vCPU's thread, never re-entered on one vCPU,
/// and concurrently by several vCPUs. Must not throw for anything a guest does.
/// </summary>
public interface IVmExitHandler
{
    /// <param name="vcpuIndex">Which vCPU's exit counters the access belongs to.</param>
    void PioIn(int vcpuIndex, ushort port, Span<byte> data);

    void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data);

    void MmioRead(int vcpuIndex, ulong address, Span<byte> data);

    void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data);
}
