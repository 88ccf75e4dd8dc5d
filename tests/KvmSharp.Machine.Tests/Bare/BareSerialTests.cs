using Iced.Intel;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class BareSerialTests : BareFixture
{
    private const ushort Com1 = 0x3F8, Com3 = 0x3E8;
    private const ushort ElcrPort = 0x4D0;

    [Fact]
    public void Com1_Written_ReachesItsBackendOnly()
    {
        MachineConfig config = Config(a =>
        {
            foreach (char c in "serial")
                a.Out8(Com1, (byte)c);
            a.Exit(0);
        }) with { Serials = [new SerialConfig(0, Char("com1")), new SerialConfig(2, Char("com3"))] };

        BareRun run = Run(config);

        Assert.Equal("serial", Backend("com1").OutputText);
        Assert.Empty(Backend("com3").Output);
        Assert.Empty(run.Console);
    }

    [Fact]
    public void Com1_HostInput_GuestReadsIt()
    {
        MachineConfig config = Config(a =>
        {
            a.Begin();
            a.Out8(Com1 + 2, 1); // FIFOs on
            a.Print('?');
            for (int i = 0; i < 3; i++)
            {
                a.WaitIn(Com1 + 5, 1);
                a.mov(edx, Com1);
                a.@in(al, dx);
                a.@out(dx, al); // echo
            }

            a.Exit(0);
        }) with { Serials = [new SerialConfig(0, Char("com1"))] };
        using Machine machine = Create(config);
        Task<MachineExit> run = Start(machine);
        WaitFor(() => Console.OutputText == "?");

        int taken = Backend("com1").Feed("abc"u8);

        Finish(machine, run);
        Assert.Equal(3, taken);
        Assert.Equal("abc", Backend("com1").OutputText);
    }

    [Fact]
    public void Com1_HostInputAfterTheEnd_HasNowhereToGo()
    {
        MachineConfig config = Config(a =>
        {
            a.Out8(Com1 + 1, 1); // input would raise an interrupt of a VM that is gone
            a.Exit(0);
        }) with { Serials = [new SerialConfig(0, Char("com1"))] };
        using Machine machine = Create(config);
        Finish(machine, Start(machine));

        Assert.Equal(0, Backend("com1").Feed("late"u8));
    }

    [Fact]
    public void Com1_Loopback_GuestReadsItsOwnBytesAndHostSeesNone()
    {
        MachineConfig config = Config(a =>
        {
            a.Begin();
            a.Out8(Com1 + 2, 1);
            a.Out8(Com1 + 4, 0x10); // loopback
            a.Out8(Com1, 0xA5);
            a.Out8(Com1, 0x5A);
            a.StoreIn(Com1 + 5);
            a.StoreIn(Com1);
            a.StoreIn(Com1);
            a.StoreIn(Com1 + 5);
            a.Finish();
        }) with { Serials = [new SerialConfig(0, Char("com1"))] };

        Assert.Equal([0x61u, 0xA5, 0x5A, 0x60], Run(config).Words);
        Assert.Empty(Backend("com1").Output);
    }

    [Fact]
    public void Com1AndCom3_ShareInterrupt4_LineStaysUntilBothAreQuiet()
    {
        MachineConfig config = Config(a =>
        {
            a.Begin();
            // Level triggered, so that the PIC's request bit follows the line; interrupts stay off in the CPU.
            a.Out8(ElcrPort, 0x10);
            a.Out8(0x20, 0x11);
            a.Out8(0x21, 0x20);
            a.Out8(0x21, 0x04);
            a.Out8(0x21, 0x01);
            a.Out8(0x20, 0x0A); // OCW3: read the request register
            StoreLine(a);
            a.Out8(Com1 + 1, 2); // transmitter empty interrupt
            StoreLine(a);
            a.Out8(Com3 + 1, 2);
            StoreLine(a);
            a.StoreIn(Com1 + 2);
            StoreLine(a);
            a.StoreIn(Com3 + 2);
            StoreLine(a);
            a.Finish();
        }) with { Serials = [new SerialConfig(0, Char("com1")), new SerialConfig(2, Char("com3"))] };

        Assert.Equal([0u, 0x10, 0x10, 2, 0x10, 2, 0], Run(config).Words);
    }

    private static void StoreLine(Assembler a)
    {
        a.mov(edx, 0x20);
        a.xor(eax, eax);
        a.@in(al, dx);
        a.and(eax, 0x10);
        a.stosd();
    }
}
