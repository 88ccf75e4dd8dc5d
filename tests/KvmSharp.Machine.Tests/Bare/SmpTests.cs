using KvmSharp.Machine.Config;
using KvmSharp.TestKit.Guests;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class SmpTests : BareFixture
{
    private const uint Trampoline = 0x8000;
    private const ushort Count = 0x7000, Seen = 0x7010;

    [Theory]
    [InlineData(2, IrqchipMode.Kernel)]
    [InlineData(4, IrqchipMode.Kernel)]
    [InlineData(2, IrqchipMode.Split)]
    [InlineData(4, IrqchipMode.Split)]
    public void InitSipi_ToAllOthers_EveryProcessorReportsItsApicId(int cpus, IrqchipMode irqchip)
    {
        byte[] processor = Payload.Assemble(16, 0, a =>
        {
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(eax, 1);
            a.cpuid();
            a.shr(ebx, 24);
            a.and(bx, 0xFF);
            a.mov(__byte_ptr[bx + Seen], 1);
            a.@lock.inc(__word_ptr[Count]);
            var again = a.CreateLabel();
            a.cli();
            a.Label(ref again);
            a.hlt();
            a.jmp(again);
        });
        byte[] kernel = BareKernel.Elf(a =>
        {
            var wait = a.CreateLabel();
            a.Begin();
            a.mov(__byte_ptr[Seen], 1);
            a.EnableLocalApic();
            a.StoreMemory(GuestCode.LocalApic + 0x20); // own id
            a.Write32(GuestCode.LocalApic + 0x300, 0x000C_4500); // INIT, all but self
            a.Write32(GuestCode.LocalApic + 0x300, 0x000C_4600 | (Trampoline >> 12)); // SIPI
            a.Label(ref wait);
            a.cmp(__word_ptr[(uint)Count], (short)(cpus - 1));
            a.jne(wait);
            a.StoreMemory(Seen);
            a.Finish();
        }, (Trampoline, processor));

        uint[] words = Run(Config(kernel) with { Cpus = Cpus(cpus), Irqchip = irqchip }).Words;

        Assert.Equal(0u, words[0] >> 24);
        Assert.Equal(cpus == 2 ? 0x0000_0101u : 0x0101_0101u, words[1]);
    }

    [Fact]
    public void Start_SeveralProcessors_OnlyTheFirstRuns()
    {
        BareRun run = Run(Config(a =>
        {
            a.Print('x');
            a.Exit(0);
        }) with { Cpus = Cpus(4) });

        Assert.Equal("x", run.Text);
    }

    [Fact]
    public void DebugExit_FromSecondProcessor_EndsTheMachine()
    {
        byte[] processor = Payload.Assemble(16, 0, a =>
        {
            a.mov(dx, GuestCode.ExitPort);
            a.mov(al, 0x21);
            a.@out(dx, al);
            a.hlt();
        });
        byte[] kernel = BareKernel.Elf(a =>
        {
            a.EnableLocalApic();
            a.Write32(GuestCode.LocalApic + 0x300, 0x000C_4500);
            a.Write32(GuestCode.LocalApic + 0x300, 0x000C_4600 | (Trampoline >> 12));
            var again = a.CreateLabel();
            a.Label(ref again);
            a.jmp(again); // spins: ending must not need its cooperation
        }, (Trampoline, processor));

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 0x43), Run(Config(kernel) with { Cpus = Cpus(2) }).Exit);
    }
}
