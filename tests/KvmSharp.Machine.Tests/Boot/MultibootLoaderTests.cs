using KvmSharp.Machine.Boot;

namespace KvmSharp.Machine.Tests.Boot;

public sealed class MultibootLoaderTests : BootFixture
{
    private const int HeaderOffset = 0x400;

    [Fact]
    public void Load_Elf32_GivesInformationBelow1MiB()
    {
        BootEntry entry = Load(Elf32(), commandLine: "a=b");
        Assert.Equal((BootProtocol.Multiboot, BootMode.Protected32, ElfFile.Address + 0x10UL), (entry.Protocol, entry.Mode, entry.Rip));
        Assert.Equal(0x2BAD_B002UL, entry.Rax);
        Assert.InRange(entry.Rbx, 0x1000UL, MachineLayout.EbdaStart);
        Assert.Equal(0x245u, U32(entry.Rbx));
        Assert.Equal(639u, U32(entry.Rbx + 4));
        Assert.Equal(63u << 10, U32(entry.Rbx + 8));
        Assert.Equal(Path.Combine(Folder, "kernel") + " a=b", Text(U32(entry.Rbx + 16)));
        Assert.Equal("KvmSharp", Text(U32(entry.Rbx + 64)));
        Assert.Equal(5u * 24, U32(entry.Rbx + 44));
        ulong map = U32(entry.Rbx + 48);
        Assert.Equal((20u, 0x10_0000UL, 63UL << 20, 1u), (U32(map + 48), U64(map + 52), U64(map + 60), U32(map + 68)));
    }

    [Fact]
    public void Load_HighLinkedElf_EntersAtThePhysicalAddress() =>
        Assert.Equal(ElfFile.Address + 0x10UL, Load(ElfFile.Make32(0xC020_0000, b => ElfFile.Multiboot(b, HeaderOffset, 3))).Rip);

    [Fact]
    public void Load_Elf64_LoadsByProgramHeaders() =>
        Assert.Equal(ElfFile.Address + 0x10UL, Load(ElfFile.Make64(change: b => ElfFile.Multiboot(b, HeaderOffset, 0))).Rip);

    [Fact]
    public void Load_Modules_FollowTheKernelWithStrings()
    {
        BootEntry entry = KernelLoader.Load(Memory, new BootRequest
        {
            KernelPath = File("kernel", Elf32()),
            InitrdPath = File("first", [1, 2, 3]),
            Modules = [new(File("second", [9]), "second arg")],
        });
        Assert.Equal(8u, U32(entry.Rbx) & 8);
        Assert.Equal(2u, U32(entry.Rbx + 20));
        ulong list = U32(entry.Rbx + 24);
        Assert.Equal((ElfFile.Address + 0x2000, ElfFile.Address + 0x2003), (U32(list), U32(list + 4)));
        Assert.Equal(Path.Combine(Folder, "first"), Text(U32(list + 8)));
        Assert.Equal((ElfFile.Address + 0x3000, (byte)9), (U32(list + 16), Bytes(U32(list + 16), 1)[0]));
        Assert.Equal("second arg", Text(U32(list + 24)));
    }

    [Fact]
    public void Load_AddressFields_LoadWhatTheyName()
    {
        BootEntry entry = Load(Flat());
        Assert.Equal(0x30_0020UL, entry.Rip);
        Assert.Equal(0x1BAD_B002u, U32(0x30_0000));
        Assert.Equal(0x77, Bytes(0x30_0EFF, 1)[0]);
        Assert.Equal([0, 0, 0], Bytes(0x30_0F00, 3));
        Assert.Equal(0x30_2000UL, entry.KernelEnd);
    }

    [Fact]
    public void Load_AddressFieldsWithoutEnds_LoadTheWholeFile()
    {
        BootEntry entry = Load(Flat(b =>
        {
            Put32(b, 0x100 + 20, 0);
            Put32(b, 0x100 + 24, 0);
        }));
        Assert.Equal(0x30_0F00UL, entry.KernelEnd);
    }

    [Fact]
    public void Load_KernelInLowMemory_InformationGoesAround()
    {
        byte[] kernel = Flat(b =>
        {
            uint[] fields = [0x1000, 0x1000, 0x1F00, 0x8000, 0x1020];
            for (int i = 0; i < fields.Length; i++)
                Put32(b, 0x100 + 12 + (i * 4), fields[i]);
        });
        BootEntry entry = Load(kernel);
        Assert.InRange(entry.GdtAddress, 0x8000UL, 0x9000UL);
        Assert.InRange(entry.Rbx, 0x8000UL, 0x9000UL);
    }

    [Theory]
    [InlineData(12, 0x2F_0000u, "load address")]
    [InlineData(16, 0x2F_0000u, "load address")]
    [InlineData(20, 0x30_0000u, "out of order")]
    [InlineData(20, 0x31_0000u, "out of order")]
    [InlineData(24, 0x30_0001u, "out of order")]
    [InlineData(24, 0xF000_0000u, "more memory")]
    [InlineData(28, 0x10u, "outside what it loads")]
    public void Load_BrokenAddressField_SaysSo(int offset, uint value, string expected) =>
        Assert.Contains(expected, Fail(Flat(b => Put32(b, 0x100 + offset, value))), StringComparison.Ordinal);

    [Theory]
    [InlineData(0x10C, "inside its Multiboot header")]
    [InlineData(0x11F, "inside its Multiboot header")]
    [InlineData(0x120, "cut short")]
    public void Load_Truncated_SaysWhere(int length, string expected) =>
        Assert.Contains(expected, Fail(Flat()[..length], protocol: BootProtocol.Multiboot), StringComparison.Ordinal);

    [Theory]
    [InlineData(4u, "video mode")]
    [InlineData(0x8000u, "0x8000")]
    public void Load_UnsupportedFlag_SaysSo(uint flags, string expected) =>
        Assert.Contains(expected, Fail(ElfFile.Make32(change: b => ElfFile.Multiboot(b, HeaderOffset, flags))), StringComparison.Ordinal);

    [Fact]
    public void Load_WrongChecksum_IsNoHeader() => Assert.Contains("without a PVH entry note or Multiboot header", Fail(ElfFile.Make32(change: b =>
    {
        ElfFile.Multiboot(b, HeaderOffset, 0);
        b[HeaderOffset + 8]++;
    })), StringComparison.Ordinal);

    [Fact]
    public void Load_HeaderBehind8KiB_IsNotFound()
    {
        byte[] file = new byte[0x4000];
        ElfFile.Multiboot(file, 0x2000, 0);
        Assert.Contains("is not a kernel", Fail(file), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_FlatWithoutAddresses_SaysSo()
    {
        byte[] file = new byte[0x1000];
        ElfFile.Multiboot(file, 0x100, 0);
        Assert.Contains("without addresses", Fail(file), StringComparison.Ordinal);
    }

    private static byte[] Elf32() => ElfFile.Make32(change: b => ElfFile.Multiboot(b, HeaderOffset, 3));

    private static byte[] Flat(Action<byte[]>? change = null)
    {
        byte[] b = new byte[0x1000];
        b.AsSpan().Fill(0x77);
        ElfFile.Multiboot(b, 0x100, 0x1_0003);
        uint[] fields = [0x30_0000, 0x30_0000, 0x30_0F00, 0x30_2000, 0x30_0020];
        for (int i = 0; i < fields.Length; i++)
            Put32(b, 0x100 + 12 + (i * 4), fields[i]);
        change?.Invoke(b);
        return b;
    }
}
