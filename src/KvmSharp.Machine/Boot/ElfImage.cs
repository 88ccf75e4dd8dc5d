using System.Buffers.Binary;
using KvmSharp.Core.Memory;

namespace KvmSharp.Machine.Boot;

/// <summary>An x86 ELF file, 32 or 64 bit, little endian, loaded by its program headers (System V ABI, "Program Loading").</summary>
internal sealed class ElfImage
{
    private const int IdentLength = 16, Header32 = 52, Header64 = 64, Segment32 = 32, Segment64 = 56;
    private const int MaxSegments = 256;
    private const ushort Machine386 = 3, MachineX64 = 62;

    private readonly BootFile _file;
    private readonly List<ElfSegment> _segments = [];

    private ElfImage(BootFile file) => _file = file;

    internal ulong Entry { get; private set; }

    internal IReadOnlyList<ElfSegment> Segments => _segments;

    internal static bool Matches(ReadOnlySpan<byte> head) => head.StartsWith("\x7F"u8) && head.Length >= 4 && head[1..4].SequenceEqual("ELF"u8);

    /// <summary>Past the last byte in the file that its headers know of.</summary>
    internal ulong End { get; private set; }

    /// <summary>Reads and checks the headers of a file that <see cref="Matches"/>.</summary>
    internal static ElfImage Read(BootFile file, ReadOnlySpan<byte> head) => Read(file, head, whole: false);

    /// <summary>The same for an image that is in memory; <paramref name="file"/> is what errors name.</summary>
    internal static ElfImage ReadWhole(BootFile file, ReadOnlySpan<byte> image) => Read(file, image, whole: true);

    private static ElfImage Read(BootFile file, ReadOnlySpan<byte> head, bool whole)
    {
        bool is64 = head.Length > 4 && head[4] == 2;
        int headerLength = is64 ? Header64 : Header32;
        if (head.Length < IdentLength || head.Length < headerLength)
            throw file.Error("is an ELF file cut short inside its header; copy it again");
        if (head[4] is not (1 or 2))
            throw file.Error("is an ELF file of no known class; copy or build it again");
        ushort machine = head[5] == 1 ? U16(head, 18) : BinaryPrimitives.ReadUInt16BigEndian(head[18..]);
        if (head[5] != 1 || machine != (is64 ? MachineX64 : Machine386))
            throw file.Error($"is an ELF file for {MachineName(machine)}, not for x86; use a kernel for x86-64 (amd64)");
        if (U16(head, 16) is not (2 or 3))
            throw file.Error("is an ELF file but not an executable; give the linked kernel");

        ElfImage image = new(file) { Entry = is64 ? U64(head, 24) : U32(head, 24) };
        ulong table = is64 ? U64(head, 32) : U32(head, 28);
        int size = U16(head, is64 ? 54 : 42), count = U16(head, is64 ? 56 : 44);
        if (size != (is64 ? Segment64 : Segment32) || count is 0 or > MaxSegments)
            throw file.Error("has a broken ELF program header table; copy or build it again");
        byte[] bytes = new byte[size * count];
        if (!(whole ? TryCopy(head, table, bytes) : file.TryRead(table, bytes)))
            throw file.Error("is an ELF file cut short inside its program headers; copy it again");
        for (int i = 0; i < count; i++)
            image._segments.Add(is64 ? Parse64(bytes.AsSpan(i * size)) : Parse32(bytes.AsSpan(i * size)));
        image.End = EndOf(head, is64, image._segments);
        return image;
    }

    /// <summary>Checks every PT_LOAD against file and RAM, and loads it at its physical address; its bss is clear, as all memory is.</summary>
    internal IReadOnlyList<LoadedRange> LoadSegments(GuestMemory memory, LoadHelper helper)
    {
        List<LoadedRange> loaded = [];
        foreach (ElfSegment s in _segments)
        {
            if (s.Type != ElfSegment.Load || s.MemoryLength == 0)
                continue;
            if (s.FileLength > s.MemoryLength)
                throw _file.Error("has a broken ELF segment, longer in the file than in memory; build it again");
            if (s.Offset > _file.Length || s.FileLength > _file.Length - s.Offset)
                throw _file.Error("is an ELF file cut short inside its segments; copy it again");
            ImagePlacement.Check(memory, _file, s.PhysicalAddress, s.MemoryLength);
            LoadedRange range = new(s.PhysicalAddress, s.PhysicalAddress + s.MemoryLength);
            if (loaded.Exists(other => range.Start < other.End && other.Start < range.End))
                throw _file.Error("has ELF segments that overlap in memory; build it again");
            _file.TryReadToGuest(memory, s.PhysicalAddress, s.Offset, s.FileLength, helper);
            loaded.Add(range);
        }

        return loaded.Count > 0 ? loaded : throw _file.Error("is an ELF file with nothing to load; give the linked kernel");
    }

    /// <summary>Segments and section headers; what else there is lies between them. The largest number for what wraps.</summary>
    private static ulong EndOf(ReadOnlySpan<byte> head, bool is64, List<ElfSegment> segments)
    {
        ulong sections = is64 ? U64(head, 40) : U32(head, 32);
        ulong length = (ulong)U16(head, is64 ? 58 : 46) * U16(head, is64 ? 60 : 48);
        ulong end = Past(sections, length);
        foreach (ElfSegment s in segments)
            end = Math.Max(end, Past(s.Offset, s.FileLength));
        return end;

        static ulong Past(ulong start, ulong length) => start > ulong.MaxValue - length ? ulong.MaxValue : start + length;
    }

    private static bool TryCopy(ReadOnlySpan<byte> from, ulong offset, Span<byte> to)
    {
        if (offset > (ulong)from.Length || (ulong)to.Length > (ulong)from.Length - offset)
            return false;
        from.Slice((int)offset, to.Length).CopyTo(to);
        return true;
    }

    private static ElfSegment Parse64(ReadOnlySpan<byte> p) =>
        new(U32(p, 0), U64(p, 8), U64(p, 16), U64(p, 24), U64(p, 32), U64(p, 40), U64(p, 48));

    private static ElfSegment Parse32(ReadOnlySpan<byte> p) =>
        new(U32(p, 0), U32(p, 4), U32(p, 8), U32(p, 12), U32(p, 16), U32(p, 20), U32(p, 28));

    private static string MachineName(ushort machine) => machine switch
    {
        Machine386 or MachineX64 => "another variant of x86",
        8 => "MIPS",
        20 or 21 => "PowerPC",
        22 => "s390",
        40 => "32-bit Arm",
        183 => "arm64",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => $"machine {machine}",
    };

    private static ushort U16(ReadOnlySpan<byte> b, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(b[offset..]);

    private static uint U32(ReadOnlySpan<byte> b, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(b[offset..]);

    private static ulong U64(ReadOnlySpan<byte> b, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(b[offset..]);
}
