using System.Buffers.Binary;

namespace KvmSharp.TestKit.Boot;

/// <summary>
/// Makes a bzImage whose payload is a small ELF kernel as Linux builds have it: linked at 16 MiB, with one place to relocate of each kind, stored in a zstd frame
/// (RFC 8878) of raw blocks.
/// </summary>
public static class PackedKernel
{
    public const ulong LinkStart = 0x100_0000, VirtualStart = 0xFFFF_FFFF_8100_0000, Entry = 0x40;
    public const int Span = 0x9000, Plain64 = 0x100, Inverse32 = 0x200, Plain32 = 0x300, LastByte = 0xFFF;

    private const int HeadersLength = 64 + 56, CodeOffset = 0x1000, FileLength = 0x6000, PayloadOffset = 512;

    /// <param name="relocations">What follows the ELF file; null: the three lists.</param>
    /// <param name="changeElf">A last word on the ELF file.</param>
    /// <param name="larger">Bytes that the kernel is larger than the small one.</param>
    public static byte[] Make(uint[]? relocations = null, Action<byte[]>? changeElf = null, int larger = 0)
    {
        byte[] elf = new byte[CodeOffset + FileLength + larger];
        byte[] ident = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        ident.CopyTo(elf, 0);
        elf[16] = 2;
        elf[18] = 62;
        Put64(elf, 24, LinkStart + Entry);
        Put64(elf, 32, 64);
        Put64(elf, 40, HeadersLength);
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = 1;
        ulong[] segment = [CodeOffset, VirtualStart, LinkStart, FileLength + (ulong)larger, Span + (ulong)larger, 0x20_0000];
        for (int i = 0; i < segment.Length; i++)
            Put64(elf, 72 + (i * 8), segment[i]);
        Put64(elf, CodeOffset + Plain64, VirtualStart + 0x123);
        Put32(elf, CodeOffset + Inverse32, 0x1000);
        Put32(elf, CodeOffset + Plain32, unchecked((uint)VirtualStart) + 0x456);
        elf[CodeOffset + LastByte] = 0xEE;
        changeElf?.Invoke(elf);
        relocations ??= [0, Place(Plain64), 0, Place(Inverse32), 0, Place(Plain32)];
        return Wrap([.. elf, .. relocations.SelectMany(BitConverter.GetBytes)]);
    }

    /// <summary>The address that a relocation of this offset has.</summary>
    public static uint Place(int offset) => unchecked((uint)VirtualStart) + (uint)offset;

    /// <summary>Where the payload is in the file.</summary>
    public static int PayloadStart => BzImage.SetupLength + PayloadOffset;

    /// <summary>The bytes of a kernel as the payload of a bzImage.</summary>
    public static byte[] Wrap(byte[] kernel)
    {
        byte[] payload = [.. Frame(kernel), .. BitConverter.GetBytes(kernel.Length)];
        byte[] bzImage = BzImage.Make();
        int length = (PayloadOffset + payload.Length + 511) / 512 * 512;
        Array.Resize(ref bzImage, BzImage.SetupLength + length);
        Put32(bzImage, 0x1F4, (uint)length / 16);
        Put32(bzImage, 0x248, PayloadOffset);
        Put32(bzImage, 0x24C, (uint)payload.Length);
        payload.CopyTo(bzImage, PayloadStart);
        return bzImage;
    }

    private static byte[] Frame(byte[] contents)
    {
        const int largest = 1 << 16;
        List<byte> frame = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, .. BitConverter.GetBytes(contents.Length)];
        for (int at = 0; at < contents.Length; at += largest)
        {
            int length = Math.Min(largest, contents.Length - at);
            int block = (length << 3) | (at + length == contents.Length ? 1 : 0);
            frame.AddRange([(byte)block, (byte)(block >> 8), (byte)(block >> 16), .. contents.AsSpan(at, length)]);
        }

        return [.. frame];
    }

    private static void Put32(byte[] b, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(offset), value);

    private static void Put64(byte[] b, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(b.AsSpan(offset), value);
}
