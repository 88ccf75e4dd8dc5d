using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Machine.Boot;
using KvmSharp.TestKit.Boot;

namespace KvmSharp.Machine.Tests.Boot;

public sealed class LinuxLoaderTests : BootFixture
{
    [Fact]
    public void Load_GoodImage_EntersAtPreferredAddress()
    {
        BootEntry entry = Load(BzImage.Make(), commandLine: "console=ttyS0");
        Assert.Equal(BootMode.Long64, entry.Mode);
        Assert.Equal(0x100_0200UL, entry.Rip);
        Assert.Equal(0x90, Bytes(0x100_0000, BzImage.SystemLength)[^1]);
        Assert.Equal(0, Bytes(0x100_0000 + BzImage.SystemLength, 1)[0]);
        Assert.Equal("console=ttyS0", Text(U32(entry.Rsi + 0x228)));
        Assert.Equal(MachineLayout.AcpiStart, U64(entry.Rsi + 0x70));
        Assert.Equal(0xFF, Bytes(entry.Rsi + 0x210, 1)[0]);
        Assert.Equal("HdrS"u8.ToArray(), Bytes(entry.Rsi + 0x202, 4));
        Assert.Equal(0, Bytes(entry.Rsi + 0x1EF, 1)[0]); // the sentinel
    }

    [Fact]
    public void Load_GoodImage_E820DescribesRamAndFirmware()
    {
        BootEntry entry = Load(BzImage.Make());
        Assert.Equal(5, Bytes(entry.Rsi + 0x1E8, 1)[0]);
        Assert.Equal((0UL, MachineLayout.EbdaStart, 1u), Range(entry, 0));
        Assert.Equal((MachineLayout.EbdaStart, 0x400UL + 0x6_0000, 2u), Range(entry, 1));
        Assert.Equal((0x10_0000UL, (64UL << 20) - 0x10_0000, 1u), Range(entry, 2));
        Assert.Equal((MachineLayout.EcamStart, 256UL << 20, 2u), Range(entry, 3));
        Assert.Equal((MachineLayout.IdentityMapAddress, 0x4000UL, 2u), Range(entry, 4));
    }

    [Fact]
    public void Load_MoreThanTheHole_E820GoesOnAbove4G()
    {
        using GuestMemory big = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 5UL << 30 });
        IReadOnlyList<BootMemoryRange> map = MemoryMap.Build(big, []);
        Assert.Equal(new BootMemoryRange(GuestMemory.HighStart, 2UL << 30, BootMemoryType.Ram), map[^1]);
        Assert.Equal(GuestMemory.LowLimit, map[2].End);
    }

    [Fact]
    public void Load_Entry_IsPagedIdentityWithBootSegments()
    {
        BootEntry entry = Load(BzImage.Make());
        ulong pdpt = U64(entry.Cr3) & ~0xFFFUL;
        ulong lastDirectory = U64(pdpt + 24) & ~0xFFFUL;
        Assert.Equal(0xFFE0_0083UL, U64(lastDirectory + (511 * 8)));
        Assert.Equal(0x00AF_9B00_0000_FFFFUL, U64(entry.GdtAddress + 0x10));
        Assert.Equal(0x00CF_9300_0000_FFFFUL, U64(entry.GdtAddress + 0x18));
        kvm_regs regs = default;
        kvm_sregs sregs = new() { apic_base = 0xFEE0_0900 };
        BootRegisters.Apply(entry, ref regs, ref sregs);
        Assert.Equal((entry.Rip, 2UL, entry.Rsi), (regs.rip, regs.rflags, regs.rsi));
        Assert.Equal((0x10, 1, 0, 0x18, 0x500UL, 0xFEE0_0900UL), (sregs.cs.selector, sregs.cs.l, sregs.cs.db, sregs.ss.selector, sregs.efer, sregs.apic_base));
    }

    [Fact]
    public void Load_Initrd_LiesPageAlignedAtTheTop()
    {
        BootEntry entry = Load(BzImage.Make(), initrd: File("initrd", [.. Enumerable.Repeat((byte)7, 5000)]));
        Assert.Equal((64UL << 20) - 8192, entry.InitrdStart);
        Assert.Equal(entry.InitrdStart, U32(entry.Rsi + 0x218));
        Assert.Equal(5000u, U32(entry.Rsi + 0x21C));
        Assert.Equal(7, Bytes(entry.InitrdStart + 4999, 1)[0]);
    }

    [Fact]
    public void Load_InitrdLimitOfOldKernel_IsKept()
    {
        byte[] kernel = BzImage.Make(b =>
        {
            b[0x236] = 1;
            Put32(b, 0x22C, 0x2FF_FFFF);
        });
        Assert.Equal(0x300_0000UL - 4096, Load(kernel, initrd: File("initrd", [1])).InitrdStart);
    }

    [Fact]
    public void Load_PreferredAddressTooHigh_RelocatesLow()
    {
        BootEntry entry = Load(BzImage.Make(b => Put64(b, 0x258, 0x800_0000)));
        Assert.Equal(0x20_0200UL, entry.Rip);
    }

    [Fact]
    public void Load_NotRelocatableAndTooHigh_NamesMemory() =>
        Assert.Contains("64 MiB of memory", Fail(BzImage.Make(b =>
        {
            Put64(b, 0x258, 0x800_0000);
            b[0x234] = 0;
        })), StringComparison.Ordinal);

    [Theory]
    [InlineData(1, "too short")]
    [InlineData(0x1F1, "too short")]
    [InlineData(0x200, "too short")]
    [InlineData(0x205, "too short")]
    [InlineData(0x206, "inside its setup header")]
    [InlineData(0x238, "inside its setup header")]
    [InlineData(0x263, "inside its setup header")]
    [InlineData(0x264, "real-mode code")]
    [InlineData(1024, "real-mode code")]
    [InlineData(1025, "cut short")]
    [InlineData(1024 + 8191, "cut short")]
    public void Load_Truncated_SaysWhere(int length, string expected) =>
        Assert.Contains(expected, Fail(BzImage.Make()[..length]), StringComparison.Ordinal);

    [Theory]
    [InlineData(0x207, 1, "boot protocol 1.15")]
    [InlineData(0x211, 0, "zImage")]
    [InlineData(0x236, 2, "32-bit Linux kernel")]
    [InlineData(0x232, 0x21, "kernel_alignment")]
    [InlineData(0x25F, 0x80, "pref_address")]
    [InlineData(0x262, 0, "init_size")]
    [InlineData(0x238, 0, "cmdline_size")]
    [InlineData(0x263, 0x70, "give the guest more memory")]
    [InlineData(0x1F7, 0xFF, "cut short")]
    public void Load_BrokenHeaderField_NamesIt(int offset, byte value, string expected) =>
        Assert.Contains(expected, Fail(BzImage.Make(b => b[offset] = value)), StringComparison.Ordinal);

    [Fact]
    public void Load_CommandLineAtAndOverTheLimit_IsTakenThenRefused()
    {
        Load(BzImage.Make(), commandLine: new string('x', 100));
        Assert.Contains("at most 100", Fail(BzImage.Make(), commandLine: new string('x', 101)), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_CommandLineWithNul_IsRefused() => Assert.Contains("NUL", Fail(BzImage.Make(), commandLine: "a\0b"), StringComparison.Ordinal);

    [Fact]
    public void Load_InitrdTooLarge_SaysItDoesNotFit()
    {
        string path = File("initrd", [1]);
        using (FileStream sparse = new(path, FileMode.Open))
            sparse.SetLength(60 << 20);
        Assert.Contains("does not fit", Fail(BzImage.Make(), initrd: path), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_InitrdMissing_SaysSo() => Assert.Contains("initrd '/nonexistent' does not exist", Fail(BzImage.Make(), initrd: "/nonexistent"), StringComparison.Ordinal);

    [Fact]
    public void Load_TinyMemory_SaysMoreIsNeeded()
    {
        using GuestMemory tiny = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1 << 20 });
        Assert.Contains("more memory", Fail(BzImage.Make(), memory: tiny), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Load_RandomHeader_NeverFailsOtherwise(int seed)
    {
        Random random = new(seed);
        for (int i = 0; i < 200; i++)
        {
            byte[] kernel = BzImage.Make(b =>
            {
                for (int n = 0; n < 4; n++)
                    b[random.Next(0x1F1, 0x270)] = (byte)random.Next(256);
            });
            Exception? e = Record.Exception(() => Load(kernel));
            Assert.True(e is null or BootException, e?.ToString());
        }
    }

    private (ulong Start, ulong Length, uint Type) Range(BootEntry entry, int index)
    {
        ulong at = entry.Rsi + 0x2D0 + ((ulong)index * 20);
        return (U64(at), U64(at + 8), U32(at + 16));
    }
}
