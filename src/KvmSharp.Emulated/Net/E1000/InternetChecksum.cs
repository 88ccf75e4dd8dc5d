using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>The ones' complement sum of RFC 1071, in the byte order of the wire.</summary>
internal static class InternetChecksum
{
    /// <summary>Folded sum of the bytes, taken as big-endian words; an odd last byte is followed by zero.</summary>
    public static ushort Sum(ReadOnlySpan<byte> bytes, ushort start = 0)
    {
        // Any byte order gives the same sum, swapped (RFC 1071 §2): whole words are added as they lie in memory.
        ulong sum = BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(start) : start;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            sum += word;
            sum += sum < word ? 1ul : 0;
        }

        Span<byte> rest = stackalloc byte[8];
        rest.Clear();
        bytes[(words.Length * 8)..].CopyTo(rest);
        ulong last = MemoryMarshal.Read<ulong>(rest);
        sum += last;
        sum += sum < last ? 1ul : 0;
        sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
        sum = (sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32);
        ushort folded = Fold((uint)sum);
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded;
    }

    /// <summary>Folds carries into 16 bits.</summary>
    public static ushort Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)((sum & 0xFFFF) + (sum >> 16));
    }
}
