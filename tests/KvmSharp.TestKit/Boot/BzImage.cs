using System.Buffers.Binary;

namespace KvmSharp.TestKit.Boot;

/// <summary>Makes a small bzImage: two setup sectors and 8 KiB of "protected-mode code".</summary>
public static class BzImage
{
    public const int SetupLength = 1024;
    public const int SystemLength = 8192;

    public static byte[] Make(Action<byte[]>? change = null)
    {
        byte[] b = new byte[SetupLength + SystemLength];
        b[0x1F1] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(0x1F4), SystemLength / 16);
        b[0x1FE] = 0x55;
        b[0x1FF] = 0xAA;
        b[0x200] = 0xEB;
        b[0x201] = 0x6A;
        "HdrS"u8.CopyTo(b.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(b.AsSpan(0x206), 0x020F);
        b[0x211] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(0x22C), 0x7FFF_FFFF);
        BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(0x230), 0x20_0000);
        b[0x234] = 1;
        b[0x236] = 3;
        BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(0x238), 100);
        BinaryPrimitives.WriteUInt64LittleEndian(b.AsSpan(0x258), 0x100_0000);
        BinaryPrimitives.WriteUInt32LittleEndian(b.AsSpan(0x260), 0x80_0000);
        b.AsSpan(SetupLength).Fill(0x90);
        change?.Invoke(b);
        return b;
    }
}
