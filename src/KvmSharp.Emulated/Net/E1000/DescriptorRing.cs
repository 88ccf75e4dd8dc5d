using System.Runtime.CompilerServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// A ring of 16-byte descriptors in guest memory (manual §3.2.6, §3.4), resolved when the driver starts it. Empty if what the driver
/// programmed is not in memory. Loop thread.
/// </summary>
internal unsafe struct DescriptorRing
{
    private const uint EntrySize = 16;

    private byte* _start;

    /// <summary>Descriptors; 0: there is no ring.</summary>
    public uint Count { get; private set; }

    /// <param name="low">Register of the address's lower half; the others follow as in §13.4.25-§13.4.29.</param>
    public static DescriptorRing Open(RegisterFile registers, GuestMemory memory, uint low)
    {
        const uint High = 4, Length = 8, Head = 16;
        ulong address = (ulong)registers[low + High] << 32 | registers[low];
        uint bytes = registers[low + Length];
        DescriptorRing ring = default;
        if (bytes < EntrySize || registers[low + Head] >= bytes / EntrySize || !memory.TryGetPointer(new GuestAddress(address), bytes, out ring._start))
            return default;
        ring.Count = bytes / EntrySize;
        return ring;
    }

    public readonly uint Next(uint index) => index + 1 == Count ? 0 : index + 1;

    /// <summary>Descriptors from <paramref name="head"/> up to, without, <paramref name="tail"/>; 0 for a tail outside the ring.</summary>
    public readonly uint Distance(uint head, uint tail) => tail >= Count ? 0 : tail >= head ? tail - head : Count - head + tail;

    /// <summary>One copy of a descriptor.</summary>
    /// <param name="index">Below <see cref="Count"/>.</param>
    /// <param name="address">The first quadword, in most descriptors an address.</param>
    /// <param name="control">The second.</param>
    public readonly void Read(uint index, out ulong address, out ulong control)
    {
        // SAFETY: Open checked Count descriptors from _start.
        byte* entry = _start + (index * EntrySize);
        address = Volatile.Read(ref *(ulong*)entry);
        control = Volatile.Read(ref *(ulong*)(entry + 8));
    }

    /// <summary>Replaces the second quadword, after everything that was stored before it.</summary>
    public readonly void WriteBack(uint index, ulong control) =>
        // SAFETY: as in Read.
        Volatile.Write(ref *(ulong*)(_start + (index * EntrySize) + 8), control);
}
