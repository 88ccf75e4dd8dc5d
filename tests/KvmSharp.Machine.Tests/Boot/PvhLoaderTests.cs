using KvmSharp.Core.Memory;
using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Tests.Boot;

public sealed class PvhLoaderTests : BootFixture
{
    [Fact]
    public void Load_Elf64_EntersByTheNote()
    {
        BootEntry entry = Load(ElfFile.Make64(0xFFFF_FFFF_8020_0000), commandLine: "quiet");
        Assert.Equal((BootProtocol.Pvh, BootMode.Protected32, ElfFile.Address + 0x40UL), (entry.Protocol, entry.Mode, entry.Rip));
        Assert.Equal((0x11UL, 0UL, 0UL), (entry.Cr0, entry.Cr4, entry.Efer));
        Assert.Equal(0x00CF_9B00_0000_FFFFUL, U64(entry.GdtAddress + 0x10));
        Assert.Equal(0x336E_C578u, U32(entry.Rbx));
        Assert.Equal(1u, U32(entry.Rbx + 4));
        Assert.Equal("quiet", Text(U64(entry.Rbx + 24)));
        Assert.Equal(MachineLayout.AcpiStart, U64(entry.Rbx + 32));
        ulong map = U64(entry.Rbx + 40);
        Assert.Equal(5u, U32(entry.Rbx + 48));
        Assert.Equal((0x10_0000UL, 1u), (U64(map + 48), U32(map + 48 + 16)));
        Assert.Equal(0xF4, Bytes(ElfFile.Address + 0xFFF, 1)[0]);
    }

    [Fact]
    public void Load_ShortSegment_BssIsClear()
    {
        Load(ElfFile.Make64(change: b => Put64(b, 64 + 32, 0x800)));
        Assert.Equal(0xF4, Bytes(ElfFile.Address + 0x7FF, 1)[0]);
        Assert.All(Bytes(ElfFile.Address + 0x800, 0x1800), b => Assert.Equal(0, b));
    }

    [Fact]
    public void Load_Elf32_EntersByTheNote() => Assert.Equal(ElfFile.Address + 0x40UL, Load(ElfFile.Make32()).Rip);

    [Fact]
    public void Load_Modules_AreListed()
    {
        BootEntry entry = KernelLoader.Load(Memory, new BootRequest
        {
            KernelPath = File("kernel", ElfFile.Make64()),
            InitrdPath = File("initrd", [1, 2, 3]),
            Modules = [new(File("second", [4, 5]), "two")],
        });
        Assert.Equal(2u, U32(entry.Rbx + 12));
        ulong list = U64(entry.Rbx + 16);
        Assert.Equal((entry.InitrdStart, 3UL, 0UL), (U64(list), U64(list + 8), U64(list + 16)));
        Assert.Equal([4, 5], Bytes(U64(list + 32), 2));
        Assert.Equal("two", Text(U64(list + 48)));
    }

    [Theory]
    [InlineData(4, "inside its header")]
    [InlineData(20, "inside its header")]
    [InlineData(63, "inside its header")]
    [InlineData(64, "inside its program headers")]
    [InlineData(175, "inside its program headers")]
    [InlineData(ElfFile.NoteOffset + 19, "inside its notes")]
    [InlineData(ElfFile.CodeOffset + 10, "inside its segments")]
    public void Load_Truncated_SaysWhere(int length, string expected) =>
        Assert.Contains(expected, Fail(ElfFile.Make64()[..length]), StringComparison.Ordinal);

    [Theory]
    [InlineData(18, 183, "arm64")]
    [InlineData(18, 3, "another variant of x86")]
    [InlineData(5, 2, "not for x86")]
    [InlineData(4, 9, "no known class")]
    [InlineData(16, 1, "not an executable")]
    [InlineData(54, 7, "program header table")]
    [InlineData(56, 0, "program header table")]
    [InlineData(64 + 33, 0x30, "longer in the file than in memory")]
    [InlineData(64 + 27, 0x10, "more memory")]
    [InlineData(64 + 31, 0x80, "more memory")]
    [InlineData(64 + 47, 0xFF, "more memory")]
    [InlineData(64 + 26, 0x0F, "firmware area")]
    [InlineData(64, 0, "nothing to load")]
    [InlineData(ElfFile.NoteOffset, 0xFF, "broken ELF note")]
    [InlineData(ElfFile.NoteOffset + 7, 0xFF, "broken ELF note")]
    [InlineData(ElfFile.NoteOffset + 4, 2, "broken ELF note")]
    [InlineData(ElfFile.NoteOffset + 19, 0xF0, "outside its segments")]
    [InlineData(ElfFile.NoteOffset + 8, 17, "CONFIG_PVH")]
    [InlineData(64 + 56 + 36, 0x7F, "broken ELF note")]
    public void Load_BrokenField_NamesIt(int offset, byte value, string expected) =>
        Assert.Contains(expected, Fail(ElfFile.Make64(change: b => b[offset] = value)), StringComparison.Ordinal);

    [Fact]
    public void Load_OverlappingSegments_AreRefused() => Assert.Contains("overlap", Fail(ElfFile.Make64(change: b =>
    {
        b[56] = 3;
        b.AsSpan(64, 56).CopyTo(b.AsSpan(64 + (2 * 56)));
    })), StringComparison.Ordinal);

    [Fact]
    public void Load_CommandLineTooLong_IsRefused() =>
        Assert.Contains("at most 2047", Fail(ElfFile.Make64(), commandLine: new string('x', 2048)), StringComparison.Ordinal);

    [Fact]
    public void Load_InitrdTooLarge_SaysItDoesNotFit()
    {
        string path = File("initrd", [1]);
        using (FileStream sparse = new(path, FileMode.Open))
            sparse.SetLength(70 << 20);
        Assert.Contains("does not fit", Fail(ElfFile.Make64(), initrd: path), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_RandomHeader_NeverFailsOtherwise()
    {
        Random random = new(3);
        for (int i = 0; i < 500; i++)
        {
            byte[] kernel = ElfFile.Make64(change: b =>
            {
                for (int n = 0; n < 3; n++)
                    b[random.Next(4, ElfFile.NoteOffset + 20)] = (byte)random.Next(256);
            });
            Exception? e = Record.Exception(() => Load(kernel));
            Assert.True(e is null or BootException, e?.ToString());
        }
    }
}
