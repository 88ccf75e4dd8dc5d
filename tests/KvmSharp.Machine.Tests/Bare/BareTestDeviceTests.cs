using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Guests;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class BareTestDeviceTests : BareFixture
{
    private const uint Mmio = 0xFF00_0000;

    [Fact]
    public void Latch_WrittenAtEveryWidth_BothWindowsReadItBack()
    {
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            a.Out32(0xE0, 0x44332211);
            a.StoreIn(0xE0, 4);
            a.StoreIn(0xE0, 2);
            a.StoreIn(0xE2, 2);
            a.StoreIn(0xE3);
            a.Out8(0xE1, 0xAA);
            a.Out16(0xE2, 0xBBCC);
            a.StoreIn(0xE0, 4);
            a.StoreIn(0xE8, 1);
            a.StoreIn(0xEA, 2);
            a.Out16(0xEA, 0x1234);
            a.StoreIn(0xE0, 4);
            a.Finish();
        }) with { TestDevice = true }).Words;

        // Port 0xE9 belongs to the debug console here.
        Assert.Equal([0x44332211u, 0x2211, 0x4433, 0x44, 0xBBCCAA11, 0x11, 0xBBCC, 0x1234AA11], words);
    }

    [Fact]
    public void SecondLatch_WithoutDebugConsole_IsWhole()
    {
        MachineConfig config = Config(a =>
        {
            a.Out32(0xE8, 0x87654321);
            a.mov(edx, 0xE0);
            a.@in(eax, dx);
            a.mov(ebx, eax);
            a.mov(edx, 0xE8);
            a.@in(eax, dx);
            a.xor(eax, ebx);
            a.xor(eax, ebx);
            a.xor(eax, unchecked((int)0x87654321));
            a.mov(edx, GuestCode.ExitPort);
            a.@out(dx, eax);
            a.Hang();
        }) with { TestDevice = true, DebugConsole = null };

        Assert.Equal(1, Run(config).Exit.Status);
    }

    [Fact]
    public void Mmio_EveryWidth_IsMemory()
    {
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            a.StoreMemory(Mmio);
            a.Write32(Mmio, 0x44332211);
            a.StoreMemory(Mmio);
            a.mov(__byte_ptr[Mmio + 1], 0xAA);
            a.mov(__word_ptr[Mmio + 2], 0xBBCC);
            a.StoreMemory(Mmio);
            a.movzx(eax, __byte_ptr[Mmio + 3]);
            a.stosd();
            a.movzx(eax, __word_ptr[Mmio + 1]);
            a.stosd();
            a.Write32(Mmio + 0xFFFC, 0x55667788);
            a.StoreMemory(Mmio + 0xFFFC);
            a.mov(esi, Mmio);
            a.movsd(); // MMIO to RAM
            a.LockIncrement(Mmio);
            a.StoreMemory(Mmio);
            a.StoreMemory(Mmio + 0x1_0000); // nobody's
            a.Finish();
        }) with { TestDevice = true }).Words;

        Assert.Equal([0u, 0x44332211, 0xBBCCAA11, 0xBB, 0xCCAA, 0x55667788, 0xBBCCAA11, 0xBBCCAA12, 0xFFFFFFFF], words);
    }

    [Fact]
    public void PageDrop_OfWrittenPages_KeepsContents()
    {
        const uint page = 0x30_0000;
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            a.Write32(page, 0x1111);
            a.Write32(page + 0xFFC, 0x2222);
            a.Write32(page + 0x1000, 0x3333);
            a.Out32(0xE4, page + 0x123);
            a.StoreMemory(page);
            a.StoreMemory(page + 0xFFC);
            a.StoreMemory(page + 0x1000);
            a.Write32(page, 0x4444);
            a.StoreMemory(page);
            a.Out32(0xE4, 0xFFFF_F000); // not RAM
            a.Finish();
        }) with { TestDevice = true }).Words;

        Assert.Equal([0x1111u, 0x2222, 0x3333, 0x4444], words);
    }

    [Theory]
    [InlineData(IrqchipMode.Kernel)]
    [InlineData(IrqchipMode.Split)]
    public void GsiPorts_EveryInput_ReachesLocalApicThroughIoApic(IrqchipMode irqchip)
    {
        byte[] gsis = [1, 3, 5, 7, 11, 16, 20, 23];
        uint[] words = Run(Config(a =>
        {
            a.Begin();
            a.EnableLocalApic();
            foreach (byte gsi in gsis)
            {
                byte vector = (byte)(0x50 + gsi);
                a.RouteGsi(gsi, vector);
                a.StoreRequested(vector);
                a.Out8((ushort)(0x2000 + gsi), 1);
                a.StoreRequested(vector);
                a.Out8((ushort)(0x2000 + gsi), 0);
            }

            a.Finish();
        }) with { TestDevice = true, Irqchip = irqchip }).Words;

        Assert.Equal(gsis.SelectMany(_ => (uint[])[0, 1]), words);
    }

    [Theory]
    [InlineData(IrqchipMode.Kernel, false)]
    [InlineData(IrqchipMode.Kernel, true)]
    [InlineData(IrqchipMode.Split, false)]
    [InlineData(IrqchipMode.Split, true)]
    public void GsiPorts_WithHandler_EveryRaiseIsOneInterrupt(IrqchipMode irqchip, bool level)
    {
        const byte vector = 0x61;
        const uint table = 0x19_0000, descriptor = 0x19_1000, counter = 0x19_1010, handler = 0x1A_0000;
        byte[] handlerCode = Payload.Assemble(32, handler, a =>
        {
            a.push(eax);
            a.push(edx);
            a.LockIncrement(counter);
            a.Out8(0x200A, 0);
            a.Write32(GuestCode.LocalApic + 0xB0, 0); // EOI
            a.pop(edx);
            a.pop(eax);
            a.ret(8); // not iret, which KVM cannot emulate in protected mode; interrupts stay off
        });
        uint[] words = Run(Config(BareKernel.Elf(a =>
        {
            a.Begin();
            a.Out8(0x21, 0xFF); // the PIC gets the same lines and must keep quiet
            a.Out8(0xA1, 0xFF);
            a.mov(eax, handler);
            a.mov(ebx, eax);
            a.and(ebx, 0xFFFF);
            a.mov(ecx, cs);
            a.shl(ecx, 16);
            a.or(ebx, ecx);
            a.mov(__dword_ptr[table + (vector * 8)], ebx);
            a.and(eax, unchecked((int)0xFFFF0000));
            a.or(eax, 0x8E00); // present 32-bit interrupt gate
            a.mov(__dword_ptr[table + (vector * 8) + 4], eax);
            a.mov(__word_ptr[descriptor], 0x7FF);
            a.Write32(descriptor + 2, table);
            a.lidt(__[descriptor]);
            a.EnableLocalApic();
            a.RouteGsi(10, vector, level);
            for (int i = 0; i < 5; i++)
            {
                a.cli();
                a.Out8(0x200A, 1);
                a.sti();
                a.hlt();
            }

            a.cli();
            a.StoreMemory(counter);
            a.Finish();
        }, (handler, handlerCode))) with { TestDevice = true, Irqchip = irqchip }).Words;

        Assert.Equal([5u], words);
    }

    [Fact]
    public void TestDevice_NotAskedFor_IsAbsent()
    {
        uint[] words = Run(a =>
        {
            a.Begin();
            a.Out32(0xE0, 0x12345678);
            a.StoreIn(0xE0, 4);
            a.StoreIn(0x2001);
            a.StoreMemory(Mmio);
            a.Finish();
        }).Words;

        Assert.Equal([0xFFFFFFFFu, 0xFF, 0xFFFFFFFF], words);
    }
}
