using System.Buffers.Binary;

namespace KvmSharp.Cli.Tests.Support;

/// <summary>Tiny Multiboot kernels: a header with load addresses and 32-bit machine code behind it.</summary>
internal static class TestKernel
{
    private const uint Load = 0x10_0000;
    private const int CodeOffset = 32;
    private const int ImageBytes = 4096;

    /// <summary>mov al, 0x10; out 0xf4, al: status 0x10 &lt;&lt; 1 | 1 = 33.</summary>
    private static readonly byte[] s_exit33 = [0xB0, 0x10, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD];

    public const int ExitStatus = 33;

    public static byte[] Exit => Build(s_exit33);

    /// <summary>Writes SLP_TYP 5 and SLP_EN to the ACPI control register.</summary>
    public static byte[] PowerOff => Build([0x66, 0xBA, 0x04, 0x06, 0x66, 0xB8, 0x00, 0x34, 0x66, 0xEF, 0xF4, 0xEB, 0xFD]);

    /// <summary>An empty IDT (the zeros near the image's end) and an undefined instruction.</summary>
    public static byte[] TripleFault => Build([0x0F, 0x01, 0x1D, 0x00, 0x0F, 0x10, 0x00, 0x0F, 0x0B]);

    /// <summary>Halts for ever.</summary>
    public static byte[] Hang => Build([0xF4, 0xEB, 0xFD]);

    /// <summary>Says "ok" on COM1, then halts for ever.</summary>
    public static byte[] SayAndHang => Build([0x66, 0xBA, 0xF8, 0x03, 0xB0, 0x6F, 0xEE, 0xB0, 0x6B, 0xEE, 0xF4, 0xEB, 0xFD]);

    /// <summary>Says "hi" on COM1 and exits.</summary>
    public static byte[] Hello => Build([0x66, 0xBA, 0xF8, 0x03, 0xB0, 0x68, 0xEE, 0xB0, 0x69, 0xEE, .. s_exit33]);

    /// <summary>Says "hi" on the debug console and exits.</summary>
    public static byte[] DebugHello => Build([0xB0, 0x68, 0xE6, 0xE9, 0xB0, 0x69, 0xE6, 0xE9, .. s_exit33]);

    /// <summary>Writes 20000 letters to COM1 and exits.</summary>
    public static byte[] Flood => Build([0x66, 0xBA, 0xF8, 0x03, 0xB0, 0x41, 0xB9, 0x20, 0x4E, 0x00, 0x00, 0xEE, 0xE2, 0xFD, .. s_exit33]);

    /// <summary>Sends what COM1 receives back, until a q.</summary>
    public static byte[] Echo => Build(
    [
        0x66, 0xBA, 0xFD, 0x03, 0xEC, 0xA8, 0x01, 0x74, 0xF7, 0x66, 0xBA, 0xF8, 0x03, 0xEC, 0xEE, 0x3C, 0x71, 0x75, 0xED, .. s_exit33,
    ]);

    private static byte[] Build(ReadOnlySpan<byte> code)
    {
        const uint flags = 0x1_0000;
        const uint magic = 0x1BADB002;
        byte[] image = new byte[ImageBytes];
        ReadOnlySpan<uint> header = [magic, flags, unchecked(0u - magic - flags), Load, Load, Load + ImageBytes, Load + ImageBytes, Load + CodeOffset];
        for (int i = 0; i < header.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(4 * i), header[i]);
        code.CopyTo(image.AsSpan(CodeOffset));
        return image;
    }
}
