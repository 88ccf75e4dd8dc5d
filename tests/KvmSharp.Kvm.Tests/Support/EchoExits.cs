using System.Buffers.Binary;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>Hands out rising numbers on IN and expects each back in the next OUT.</summary>
internal sealed class EchoExits : IVmExitHandler
{
    internal uint Next;

    internal int Mismatches { get; private set; }

    public void PioIn(int vcpuIndex, ushort port, Span<byte> data) =>
        BinaryPrimitives.WriteUInt32LittleEndian(data, Volatile.Read(ref Next) + 1);

    public void PioOut(int vcpuIndex, ushort port, ReadOnlySpan<byte> data)
    {
        uint expected = Next + 1;
        if (BinaryPrimitives.ReadUInt32LittleEndian(data) != expected)
            Mismatches++;
        Volatile.Write(ref Next, expected);
    }

    public void MmioRead(int vcpuIndex, ulong address, Span<byte> data) => Mismatches++;

    public void MmioWrite(int vcpuIndex, ulong address, ReadOnlySpan<byte> data) => Mismatches++;
}
