using System.Buffers.Binary;

namespace KvmSharp.Machine.Boot;

/// <summary>Says what a file is that is not a kernel we boot.</summary>
internal static class KernelDiagnosis
{
    internal static BootException Explain(BootFile file, ReadOnlySpan<byte> head)
    {
        if (OtherArchitecture(head) is { } architecture)
            return file.Error($"is a kernel for {architecture}, not for x86; use a kernel for x86-64 (amd64)");
        if (head.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]) || head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD])
            || head.StartsWith((ReadOnlySpan<byte>)[0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z']))
            return file.Error("is a compressed file; decompress it, or give the bzImage (Debian: /boot/vmlinuz-*)");
        if (head.Length < LinuxSetupHeader.RecognisedLength)
            return file.Error($"has only {head.Length} bytes, too short for a kernel; copy it again or give another file");
        return file.Error("is not a kernel; give a bzImage, an ELF vmlinux with a PVH note, or a Multiboot kernel");
    }

    private static string? OtherArchitecture(ReadOnlySpan<byte> head)
    {
        if (head.Length >= 0x40)
        {
            ReadOnlySpan<byte> magic = head.Slice(0x38, 4);
            if (magic.SequenceEqual("ARM\x64"u8))
                return "arm64";
            if (magic.SequenceEqual("RSC\x05"u8))
                return "RISC-V";
        }

        return head.StartsWith("MZ"u8) && head.Length >= 0x40 ? PeMachine(head) : null;
    }

    /// <summary>The machine of an EFI stub image, unless it is x86.</summary>
    private static string? PeMachine(ReadOnlySpan<byte> head)
    {
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(head[0x3C..]);
        if (offset > (uint)head.Length - 6 || !head[(int)offset..].StartsWith("PE\0\0"u8))
            return null;
        return BinaryPrimitives.ReadUInt16LittleEndian(head[((int)offset + 4)..]) switch
        {
            0xAA64 => "arm64",
            0x01C0 or 0x01C2 or 0x01C4 => "32-bit Arm",
            0x5032 or 0x5064 => "RISC-V",
            0x6264 => "LoongArch",
            _ => null,
        };
    }
}
