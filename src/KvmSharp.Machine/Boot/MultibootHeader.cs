using System.Buffers.Binary;

namespace KvmSharp.Machine.Boot;

/// <summary>The Multiboot header in a file's first 8 KiB (Multiboot 0.6.96 §3.1).</summary>
internal readonly record struct MultibootHeader(
    int Offset, uint Flags, uint HeaderAddress, uint LoadAddress, uint LoadEnd, uint BssEnd, uint EntryAddress)
{
    internal const int SearchLength = 0x2000;
    private const uint Magic = 0x1BAD_B002;
    private const int ShortLength = 12, AddressesLength = 32;
    private const uint PageAlign = 1, MemoryInfo = 2, Required = 0xFFFF;

    /// <summary>Bit 16: the address fields are valid and replace an ELF file's program headers.</summary>
    internal bool HasAddresses => (Flags & 0x1_0000) != 0;

    /// <summary>The first header with a right checksum; null without one. A header that asks for more than we give is an error.</summary>
    internal static MultibootHeader? Find(BootFile file, ReadOnlySpan<byte> head)
    {
        head = head[..Math.Min(head.Length, SearchLength)];
        for (int at = 0; at + ShortLength <= head.Length; at += 4)
        {
            uint flags = U32(head, at + 4);
            if (U32(head, at) != Magic || unchecked(Magic + flags + U32(head, at + 8)) != 0)
                continue;
            uint unknown = flags & Required & ~(PageAlign | MemoryInfo);
            if (unknown != 0)
            {
                string what = unknown == 4 ? "a video mode, which a guest without a display has not" : $"features 0x{unknown:x}, which are not supported";
                throw file.Error($"requires {what}; build it without that Multiboot flag");
            }

            if ((flags & 0x1_0000) == 0)
                return new(at, flags, 0, 0, 0, 0, 0);
            if (at + AddressesLength > head.Length)
                throw file.Error("is cut short inside its Multiboot header; copy it again");
            return new(at, flags, U32(head, at + 12), U32(head, at + 16), U32(head, at + 20), U32(head, at + 24), U32(head, at + 28));
        }

        return null;
    }

    private static uint U32(ReadOnlySpan<byte> b, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(b[offset..]);
}
