using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class DebugPortTests : BareFixture
{
    [Theory]
    [InlineData(1, 0x11223344u, (0x44 << 1) | 1)]
    [InlineData(2, 0x11223344u, (0x3344 << 1) | 1)]
    [InlineData(4, 0x11223344u, (0x11223344 << 1) | 1)]
    [InlineData(4, 0xFFFFFFFFu, -1)]
    public void DebugExit_WriteOfAnyWidth_EndsWithOddStatus(int width, uint value, int status)
    {
        BareRun run = Run(a =>
        {
            a.mov(eax, value);
            a.mov(edx, GuestCode.ExitPort);
            if (width == 1)
                a.@out(dx, al);
            else if (width == 2)
                a.@out(dx, ax);
            else
                a.@out(dx, eax);
            a.Hang();
        });

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, status), run.Exit);
    }

    [Fact]
    public void DebugExit_AnotherPort_OnlyThatPortEnds()
    {
        MachineConfig config = Config(a =>
        {
            a.Out8(GuestCode.ExitPort, 7);
            a.Print('x');
            a.Out8(0x501, 5);
            a.Hang();
        }) with { DebugExitPort = 0x501 };

        BareRun run = Run(config);

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 11), run.Exit);
        Assert.Equal("x", run.Text);
    }

    [Fact]
    public void DebugConsole_Written_BytesInOrderAndPortIdentifiesItself()
    {
        BareRun run = Run(a =>
        {
            a.Begin();
            foreach (char c in "hello")
                a.Print(c);
            a.mov(edx, GuestCode.ConsolePort);
            a.@in(al, dx);
            a.@out(dx, al);
            a.Exit(0);
        });

        Assert.Equal("hello\xE9", run.Text);
    }

    [Fact]
    public void DebugConsole_RepOuts_EveryByteOnce()
    {
        BareRun run = Run(a =>
        {
            a.Begin();
            a.mov(ebx, 1500);
            var next = a.CreateLabel();
            a.xor(eax, eax);
            a.Label(ref next);
            a.stosb();
            a.inc(eax);
            a.dec(ebx);
            a.jnz(next);
            a.Finish();
        });

        Assert.Equal(Enumerable.Range(0, 1500).Select(i => (byte)i), run.Console);
    }

    [Fact]
    public void Run_FlatKernelWithAddressFields_Boots()
    {
        BareRun run = Run(Config(BareKernel.Flat(a =>
        {
            a.Begin();
            a.StoreMemory(BareKernel.LoadAddress);
            a.Finish();
        })));

        Assert.Equal([0x1BAD_B002u], run.Words);
    }
}
