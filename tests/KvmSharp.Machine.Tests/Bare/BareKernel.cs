using System.Buffers.Binary;
using Iced.Intel;
using KvmSharp.TestKit.Guests;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>Makes tiny Multiboot kernels: 32-bit code at <see cref="CodeAddress"/>, behind the header at 1 MiB.</summary>
internal static class BareKernel
{
    internal const uint LoadAddress = 0x10_0000;
    internal const uint CodeAddress = LoadAddress + HeaderRoom;

    private const int HeaderRoom = 0x20;
    private const int ElfHeaderLength = 52, SegmentLength = 32, SegmentAlignment = 0x1000;
    private const uint BssLength = 0x1000;
    private const uint Magic = 0x1BAD_B002;

    /// <summary>An ELF kernel; each further segment is loaded at its address as it is.</summary>
    internal static byte[] Elf(Action<Assembler> code, params (uint Address, byte[] Data)[] segments)
    {
        byte[] main = [.. Header(0), .. Payload.Assemble(32, CodeAddress, code)];
        (uint Address, byte[] Data)[] all = [(LoadAddress, main), .. segments];
        var file = new List<byte>(new byte[SegmentAlignment]);
        Span<byte> head = stackalloc byte[ElfHeaderLength + (SegmentLength * all.Length)];
        ((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 1, 1, 1]).CopyTo(head);
        Put16(head, 16, 2); // ET_EXEC
        Put16(head, 18, 3); // EM_386
        Put32(head, 20, 1);
        Put32(head, 24, CodeAddress);
        Put32(head, 28, ElfHeaderLength);
        Put16(head, 40, ElfHeaderLength);
        Put16(head, 42, SegmentLength);
        Put16(head, 44, (ushort)all.Length);
        for (int i = 0; i < all.Length; i++)
        {
            (uint address, byte[] data) = all[i];
            Span<byte> segment = head[(ElfHeaderLength + (SegmentLength * i))..];
            Put32(segment, 0, 1); // PT_LOAD
            Put32(segment, 4, (uint)file.Count);
            Put32(segment, 8, address);
            Put32(segment, 12, address);
            Put32(segment, 16, (uint)data.Length);
            Put32(segment, 20, (uint)data.Length + (i == 0 ? BssLength : 0));
            Put32(segment, 24, 7);
            file.AddRange(data);
        }

        byte[] bytes = [.. file];
        head.CopyTo(bytes);
        return bytes;
    }

    /// <summary>A flat file with the header's address fields, behind some bytes that are not loaded.</summary>
    internal static byte[] Flat(Action<Assembler> code, int skipped = 0x40)
    {
        byte[] main = [.. Header(0x1_0000), .. Payload.Assemble(32, CodeAddress, code)];
        Put32(main, 12, LoadAddress); // header_addr
        Put32(main, 16, LoadAddress);
        Put32(main, 20, LoadAddress + (uint)main.Length);
        Put32(main, 24, LoadAddress + (uint)main.Length + BssLength);
        Put32(main, 28, CodeAddress);
        return [.. new byte[skipped], .. main];
    }

    private static byte[] Header(uint flags)
    {
        byte[] header = new byte[HeaderRoom];
        Put32(header, 0, Magic);
        Put32(header, 4, flags);
        Put32(header, 8, unchecked(0u - Magic - flags));
        return header;
    }

    private static void Put16(Span<byte> bytes, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes[offset..], value);

    private static void Put32(Span<byte> bytes, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes[offset..], value);
}
