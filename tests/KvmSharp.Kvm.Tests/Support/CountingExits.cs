using KvmSharp.Core.Fabric;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>Measures what the vCPU thread allocates between its 1000th and its latest port write.</summary>
internal sealed class CountingExits : IVmExitHandler
{
    internal long Writes;
    private long _start;

    internal long Allocated { get; private set; }

    public void PioIn(int vcpuIndex, ushort port, Span<byte> data) => data.Clear();

    public void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data)
    {
        long count = Writes + 1;
        if (count == 1000)
            _start = GC.GetAllocatedBytesForCurrentThread();
        else if (count > 1000)
            Allocated = GC.GetAllocatedBytesForCurrentThread() - _start;
        Volatile.Write(ref Writes, count);
    }

    public void MmioRead(int vcpuIndex, ulong address, Span<byte> data) => data.Clear();

    public void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data)
    {
    }
}
