using System.Buffers.Binary;

namespace KvmSharp.Machine.Tests.Boot;

/// <summary>Makes a small ELF kernel: one PT_LOAD of 4 KiB code and 4 KiB bss, one PT_NOTE.</summary>
internal static class ElfFile
{
    internal const int CodeOffset = 0x1000, CodeLength = 0x1000, NoteOffset = 0x200;
    internal const uint Address = 0x20_0000;

    internal static byte[] Make64(ulong virtualAddress = Address, Action<byte[]>? change = null)
    {
        byte[] b = new byte[CodeOffset + CodeLength];
        Start(b, 2, 62, 64, 56, 54);
        Put64(b, 24, virtualAddress + 0x10);
        Put64(b, 32, 64);
        Segment64(b, 64, 1, CodeOffset, virtualAddress, Address, CodeLength, 2 * CodeLength);
        Segment64(b, 64 + 56, 4, NoteOffset, 0, 0, 20, 20);
        Finish(b, change);
        return b;
    }

    internal static byte[] Make32(uint virtualAddress = Address, Action<byte[]>? change = null)
    {
        byte[] b = new byte[CodeOffset + CodeLength];
        Start(b, 1, 3, 52, 32, 42);
        Put32(b, 24, virtualAddress + 0x10);
        Put32(b, 28, 52);
        Segment32(b, 52, 1, CodeOffset, virtualAddress, Address, CodeLength, 2 * CodeLength);
        Segment32(b, 52 + 32, 4, NoteOffset, 0, 0, 20, 20);
        Finish(b, change);
        return b;
    }

    /// <summary>A Multiboot header at the given offset, in place of the PVH note.</summary>
    internal static void Multiboot(byte[] b, int offset, uint flags)
    {
        b.AsSpan(NoteOffset, 32).Clear();
        Put32(b, offset, 0x1BAD_B002);
        Put32(b, offset + 4, flags);
        Put32(b, offset + 8, unchecked(0u - 0x1BAD_B002 - flags));
    }

    private static void Start(byte[] b, byte kind, int machine, int header, int segment, int sizeOffset)
    {
        byte[] ident = [0x7F, (byte)'E', (byte)'L', (byte)'F', kind, 1, 1];
        ident.CopyTo(b, 0);
        b[16] = 2;
        b[18] = (byte)machine;
        b[20] = 1;
        b[sizeOffset - 2] = (byte)header;
        b[sizeOffset] = (byte)segment;
        b[sizeOffset + 2] = 2;
    }

    private static void Finish(byte[] b, Action<byte[]>? change)
    {
        Put32(b, NoteOffset, 4);
        Put32(b, NoteOffset + 4, 4);
        Put32(b, NoteOffset + 8, 18);
        "Xen\0"u8.CopyTo(b.AsSpan(NoteOffset + 12));
        Put32(b, NoteOffset + 16, Address + 0x40);
        b.AsSpan(CodeOffset, CodeLength).Fill(0xF4);
        change?.Invoke(b);
    }

    private static void Segment64(byte[] b, int at, uint type, ulong offset, ulong v, ulong p, ulong file, ulong memory)
    {
        Put32(b, at, type);
        ulong[] fields = [offset, v, p, file, memory, 4];
        for (int i = 0; i < fields.Length; i++)
            Put64(b, at + 8 + (i * 8), fields[i]);
    }

    private static void Segment32(byte[] b, int at, uint type, uint offset, uint v, uint p, uint file, uint memory)
    {
        uint[] fields = [type, offset, v, p, file, memory, 0, 4];
        for (int i = 0; i < fields.Length; i++)
            Put32(b, at + (i * 4), fields[i]);
    }

    private static void Put32(byte[] b, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(offset), value);

    private static void Put64(byte[] b, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(b.AsSpan(offset), value);
}
