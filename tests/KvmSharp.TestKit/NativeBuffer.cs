using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit;

/// <summary>Page-aligned native memory for I/O in tests.</summary>
public sealed unsafe class NativeBuffer : IDisposable
{
    public NativeBuffer(int length)
    {
        Length = length;
        Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)length, 4096);
        Span.Clear();
    }

    public int Length { get; }

    public byte* Pointer { get; }

    public Span<byte> Span => new(Pointer, Length);

    public IoVec Slice(int offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + length, Length);
        return new IoVec(Pointer + offset, (nuint)length);
    }

    public void Dispose() => NativeMemory.AlignedFree(Pointer);
}
