using System.Runtime.InteropServices;
using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>Reads physical region descriptors (Programming Interface for Bus Master IDE Controller 1.0 §1.2) out of guest memory.</summary>
internal static unsafe class PrdTable
{
    /// <summary>A table lies within 64 KiB.</summary>
    public const int MaxEntries = 8192;

    private const uint EndOfTable = 1u << 31;
    private const uint LargestRegion = 0x1_0000;
    private const uint CountMask = 0xFFFE;
    private const int SectorBytes = IdeDrive.SectorBytes;

    /// <summary>
    /// Collects the memory of at most <paramref name="wantedBytes"/>, in whole sectors, from the table at an address. Each descriptor is
    /// read once; no more than <see cref="MaxEntries"/> are.
    /// </summary>
    /// <param name="segments">Room for <see cref="MaxEntries"/>.</param>
    public static PrdTransfer Collect(GuestMemory memory, uint table, ulong wantedBytes, IoVec* segments)
    {
        ulong bytes = 0;
        int count = 0;
        for (int i = 0; i < MaxEntries && bytes < wantedBytes; i++)
        {
            if (!memory.TryRead(new GuestAddress(table + (ulong)i * (uint)sizeof(Descriptor)), out Descriptor entry))
                return default;
            uint size = entry.Count & CountMask;
            size = size == 0 ? LargestRegion : size;
            if (!memory.TryGetPointer(new GuestAddress(entry.Address & ~1u), size, out byte* host))
                return default;
            bool last = (entry.Count & EndOfTable) != 0 || i == MaxEntries - 1;
            ulong take = Math.Min(size, wantedBytes - bytes);
            // SAFETY: count <= i < MaxEntries, which is the room there is.
            segments[count++] = new IoVec(host, (nuint)take);
            bytes += take;
            if (last)
                return Finish(bytes, count, segments, exhausted: take == size);
        }

        return Finish(bytes, count, segments, exhausted: false);
    }

    /// <summary>Disks take whole sectors: what is left of the last one is cut off.</summary>
    private static PrdTransfer Finish(ulong bytes, int count, IoVec* segments, bool exhausted)
    {
        ulong excess = bytes % SectorBytes;
        bytes -= excess;
        while (excess > 0)
        {
            IoVec tail = segments[count - 1];
            nuint cut = (nuint)Math.Min(excess, tail.Length);
            excess -= cut;
            if (cut == tail.Length)
                count--;
            else
                segments[count - 1] = new IoVec(tail.Base, tail.Length - cut);
        }

        return new PrdTransfer(true, bytes, count, exhausted);
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Descriptor
    {
        public readonly uint Address;

        /// <summary>Bytes in the low half, <see cref="EndOfTable"/> at the top.</summary>
        public readonly uint Count;
    }
}
