using Iced.Intel;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class BareBusTests : BareFixture
{
    private const uint Ecam = 0xE000_0000;

    [Theory]
    [InlineData(MachineKind.Pc)]
    [InlineData(MachineKind.Microvm)]
    public void Unclaimed_PortsAndAddresses_ReadAllOnesAndIgnoreWrites(MachineKind kind)
    {
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            a.Out32(0x1234, 0x55AA55AA);
            a.StoreIn(0x1234, 1);
            a.StoreIn(0x1234, 2);
            a.StoreIn(0x1234, 4);
            a.StoreIn(0xFFFF, 1);
            a.Write32(0xD000_0000, 0x55AA55AA);
            a.StoreMemory(0xD000_0000);
            a.StoreMemory(16 << 20); // right behind RAM
            a.StoreMemory(0xFFFF_FFF0); // no firmware
            a.Finish();
        }) with { Kind = kind }).Words;

        Assert.Equal([0xFFu, 0xFFFF, 0xFFFFFFFF, 0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF], words);
    }

    [Fact]
    public void PciConfig_MechanismOneAndEcam_ReadTheSame()
    {
        uint[] words = Run(a =>
        {
            a.Begin();
            for (uint register = 0; register < 0x40; register += 4)
            {
                StoreConfig(a, register);
                a.StoreMemory(Ecam + register);
            }

            a.Finish();
        }).Words;

        Assert.Equal(32, words.Length);
        Assert.Equal(0x8086u, words[0] & 0xFFFF);
        Assert.Equal(0x0600u, words[4] >> 16); // host bridge
        for (int i = 0; i < words.Length; i += 2)
            Assert.Equal(words[i], words[i + 1]);
    }

    [Fact]
    public void PciConfig_WriteThroughOne_SeenThroughTheOther()
    {
        uint[] words = Run(a =>
        {
            a.Begin();
            a.Out32(0xCF8, 0x8000_003C);
            a.Out8(0xCFC, 0x5A); // interrupt line: plain storage
            a.StoreMemory(Ecam + 0x3C);
            a.mov(__byte_ptr[Ecam + 0x3C], 0x33);
            a.StoreIn(0xCFC);
            a.Finish();
        }).Words;

        Assert.Equal([0x5Au, 0x33], words.Select(w => w & 0xFF));
    }

    [Fact]
    public void PciConfig_AbsentFunctionsOrDisabled_AllOnes()
    {
        uint[] words = Run(a =>
        {
            a.Begin();
            foreach (uint address in (uint[])[0x100, 0xF800, 0x1_0000, 0xFF_FF00])
                StoreConfig(a, address);
            a.StoreMemory(Ecam + 0x1000);
            a.StoreMemory(Ecam + 0xF_F000);
            a.StoreMemory(Ecam + 0x10_0000); // bus 1
            a.Out32(0xCF8, 0); // enable bit clear
            a.StoreIn(0xCFC, 4);
            a.Finish();
        }).Words;

        Assert.Equal(8, words.Length);
        Assert.All(words, w => Assert.Equal(0xFFFFFFFFu, w));
    }

    [Fact]
    public void Microvm_HasNoPci()
    {
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            StoreConfig(a, 0);
            a.StoreMemory(Ecam);
            a.Finish();
        }) with { Kind = MachineKind.Microvm }).Words;

        Assert.Equal([0xFFFFFFFFu, 0xFFFFFFFF], words);
    }

    [Theory]
    [InlineData(MachineKind.Pc, IrqchipMode.Kernel)]
    [InlineData(MachineKind.Microvm, IrqchipMode.Split)]
    public void Rsdp_ScannedForInBiosArea_IsFoundWithRightChecksums(MachineKind kind, IrqchipMode irqchip)
    {
        BareRun run = Run(Config(a =>
        {
            Label next = a.CreateLabel(), found = a.CreateLabel(), skip = a.CreateLabel();
            a.Begin();
            a.mov(ebx, 0xE_0000);
            a.Label(ref next);
            a.cmp(__dword_ptr[ebx], 0x2044_5352); // "RSD "
            a.jne(skip);
            a.cmp(__dword_ptr[ebx + 4], 0x2052_5450); // "PTR "
            a.je(found);
            a.Label(ref skip);
            a.add(ebx, 16);
            a.cmp(ebx, 0x10_0000);
            a.jb(next);
            a.Exit(0x7F);
            a.Label(ref found);
            a.mov(esi, ebx);
            a.mov(ecx, 36 / 4);
            a.rep.movsd();
            a.mov(ebx, __dword_ptr[ebx + 24]); // XSDT, low half
            a.mov(ecx, __dword_ptr[ebx + 4]);
            a.mov(esi, ebx);
            a.rep.movsb();
            a.Finish();
        }) with { Kind = kind, Irqchip = irqchip });

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, GuestCode.FinishStatus), run.Exit);
        byte[] rsdp = run.Console[..36], xsdt = run.Console[36..];
        Assert.Equal("RSD PTR ", run.Text[..8]);
        Assert.Equal(0, rsdp[..20].Sum(b => b) & 0xFF);
        Assert.Equal(0, rsdp.Sum(b => b) & 0xFF);
        Assert.Equal(2, rsdp[15]);
        Assert.Equal("XSDT", run.Text.Substring(36, 4));
        Assert.Equal(0, xsdt.Sum(b => b) & 0xFF);
    }

    private static void StoreConfig(Assembler a, uint address)
    {
        a.Out32(0xCF8, 0x8000_0000 | address);
        a.StoreIn(0xCFC, 4);
    }
}
