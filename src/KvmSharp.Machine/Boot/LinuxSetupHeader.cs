using System.Buffers.Binary;

namespace KvmSharp.Machine.Boot;

/// <summary>
/// The setup header of a bzImage, copied out of the file and validated (Documentation/arch/x86/boot.rst). Offsets are those of
/// the file's first two sectors, which boot_params repeats.
/// </summary>
internal sealed class LinuxSetupHeader
{
    internal const int Start = 0x1F1;

    /// <summary>Where the magic numbers end: enough to recognise the format.</summary>
    internal const int RecognisedLength = 0x206;

    /// <summary>The last field we need, init_size, ends here (protocol 2.10).</summary>
    internal const int NeededLength = 0x264;

    /// <summary>boot_params keeps room for the header up to here.</summary>
    internal const int MaxLength = 0x290;

    private const ushort MinVersion = 0x020C;
    private const byte LoadedHigh = 1;
    private const ushort XlfKernel64 = 1;
    private const ushort XlfCanBeLoadedAbove4G = 2;
    private const uint DefaultInitrdMax = 0x37FF_FFFF;

    private readonly byte[] _bytes;

    private LinuxSetupHeader(byte[] bytes) => _bytes = bytes;

    internal ulong SetupLength => ((ulong)(_bytes[0x1F1] == 0 ? 4 : _bytes[0x1F1]) + 1) * 512;

    /// <summary>Where the compressed kernel starts in the file.</summary>
    internal ulong PayloadStart => SetupLength + U32(0x248);

    internal uint PayloadLength => U32(0x24C);

    /// <summary>Length of the protected-mode part, in bytes.</summary>
    internal ulong SystemLength => (ulong)U32(0x1F4) * 16;

    internal ulong KernelAlignment => U32(0x230);

    internal bool Relocatable => _bytes[0x234] != 0;

    internal bool InitrdAbove4G => (U16(0x236) & XlfCanBeLoadedAbove4G) != 0;

    /// <summary>Bytes of command line without the NUL.</summary>
    internal uint CommandLineLimit => U32(0x238);

    internal uint InitrdMax => U32(0x22C) == 0 ? DefaultInitrdMax : U32(0x22C);

    internal ulong PreferredAddress => U64(0x258);

    internal ulong InitSize => U32(0x260);

    /// <summary>The header's own bytes, from <see cref="Start"/>, to be copied into boot_params at the same offset.</summary>
    internal ReadOnlySpan<byte> Bytes => _bytes.AsSpan(Start);

    internal static bool Matches(ReadOnlySpan<byte> head) =>
        head.Length >= RecognisedLength && head[0x1FE] == 0x55 && head[0x1FF] == 0xAA && head[0x202..0x206].SequenceEqual("HdrS"u8);

    /// <summary>Reads and checks the header of a file that <see cref="Matches"/>.</summary>
    internal static LinuxSetupHeader Read(BootFile file, ReadOnlySpan<byte> head)
    {
        if (head.Length < NeededLength)
            throw file.Error("is a Linux kernel cut short inside its setup header; copy it again");
        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(head[0x206..]);
        if (version < MinVersion)
            throw file.Error($"speaks Linux boot protocol {version >> 8}.{version & 0xFF:d2}, 2.12 is needed; use Linux 3.8 or newer");

        // The jump over the header says where it ends; newer kernels have fields we pass on without knowing them.
        int end = Math.Clamp(0x202 + head[0x201], NeededLength, Math.Min(MaxLength, head.Length));
        LinuxSetupHeader header = new(head[..end].ToArray());
        header.Check(file);
        return header;
    }

    private void Check(BootFile file)
    {
        if ((_bytes[0x211] & LoadedHigh) == 0)
            throw file.Error("is a zImage that loads below 1 MiB; build a bzImage");
        if ((U16(0x236) & XlfKernel64) == 0)
            throw file.Error("is a 32-bit Linux kernel without the 64-bit entry; use an x86-64 (amd64) kernel");
        if (KernelAlignment is < 0x1000 or > 0x4000_0000 || !System.Numerics.BitOperations.IsPow2(KernelAlignment))
            throw file.Error($"has a broken setup header (kernel_alignment 0x{KernelAlignment:x}); copy or build it again");
        if (InitSize == 0 || PreferredAddress > uint.MaxValue || SystemLength == 0)
            throw file.Error("has a broken setup header (init_size, pref_address or syssize); copy or build it again");
        if (CommandLineLimit == 0)
            throw file.Error("has a broken setup header (cmdline_size 0); copy or build it again");
        if (file.Length <= SetupLength)
            throw file.Error($"ends inside its {SetupLength} bytes of real-mode code; copy it again");
        if (file.Length - SetupLength < SystemLength)
            throw file.Error($"is cut short: {file.Length} of {SetupLength + SystemLength} bytes; copy it again");
    }

    private ushort U16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(offset));

    private uint U32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(offset));

    private ulong U64(int offset) => BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(offset));
}
