using Iced.Intel;
using KvmSharp.Machine.Config;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

public sealed class PowerCycleTests : BareFixture
{
    private const ushort Com1 = 0x3F8;
    private const ushort Pm1Status = 0x600, Pm1Enable = 0x602, Pm1Control = 0x604;

    public static TheoryData<string> Resets => ["cf9", "i8042", "port92", "triple"];

    [Theory]
    [MemberData(nameof(Resets))]
    public void Reset_WithNoReboot_EndsTheMachine(string how)
    {
        BareRun run = Run(Config(a => Reset(a, how)));

        Assert.Equal(how == "triple" ? MachineExitKind.TripleFault : MachineExitKind.Reset, run.Exit.Kind);
    }

    [Theory]
    [MemberData(nameof(Resets))]
    public void Reset_WithReboot_StartsTheGuestAgain(string how)
    {
        var oracle = new ScriptedBackend(boot => (byte)(boot < 4 ? 'R' : 'E'));
        SetBackend("com1", oracle);

        BareRun run = Run(AsksWhetherToReset(how));

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 7), run.Exit);
        Assert.Equal("BBBB", run.Text);
        Assert.Equal(4, oracle.Count);
        Assert.Equal(1, oracle.Starts);
    }

    [Fact]
    public void Reset_KernelFileGone_BootsWhatWasBooted()
    {
        var oracle = new ScriptedBackend(boot => (byte)(boot < 2 ? 'R' : 'E'));
        SetBackend("com1", oracle);
        MachineConfig config = AsksWhetherToReset("cf9");
        using Machine machine = Create(config);
        File.Delete(config.Boot.KernelPath!);

        MachineExit exit = Finish(machine, Start(machine));

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 7), exit);
        Assert.Equal(2, oracle.Count);
    }

    [Fact]
    public void Reset_KernelFileCut_EndsWithOneLine()
    {
        MachineConfig config = Config(a => Reset(a, "cf9")) with { NoReboot = false };
        using Machine machine = Create(config);
        File.WriteAllBytes(config.Boot.KernelPath!, [1, 2, 3]);

        MachineExit exit = Finish(machine, Start(machine));

        Assert.Equal(MachineExitKind.InternalError, exit.Kind);
        Assert.Contains("kernel '", exit.Message);
        Assert.DoesNotContain('\n', exit.Message!);
    }

    [Theory]
    [InlineData(IrqchipMode.Kernel)]
    [InlineData(IrqchipMode.Split)]
    public void SleepS5_ThroughPm1Control_PowersOff(IrqchipMode irqchip)
    {
        BareRun run = Run(Config(a =>
        {
            a.Out16(Pm1Control, (1 << 13) | (1 << 10)); // S1: wakes at once
            a.Out16(Pm1Control, (1 << 13) | (MachineLayout.S5SleepType << 10));
            a.Hang();
        }) with { Irqchip = irqchip });

        Assert.Equal(MachineExitKind.PowerOff, run.Exit.Kind);
    }

    [Fact]
    public void PvPanic_Panicked_EndsAsGuestPanic()
    {
        BareRun run = Run(a =>
        {
            a.Begin();
            a.Out8(0x505, 2); // a crash kernel is loaded: the guest goes on
            a.Print('x');
            a.Out8(0x505, 1);
            a.Hang();
        });

        Assert.Equal(MachineExitKind.GuestPanic, run.Exit.Kind);
        Assert.Equal("x", run.Text);
    }

    [Fact]
    public void PowerButton_Pressed_SetsStatusAndClearsOnWrite()
    {
        MachineConfig config = Config(a =>
        {
            a.Begin();
            a.StoreIn(Pm1Control, 2);
            a.Out16(Pm1Enable, 0x100);
            a.Out8(Com1, (byte)'?');
            a.WaitIn(Pm1Status + 1, 1);
            a.Out16(Pm1Status, 0x100);
            a.StoreIn(Pm1Status, 2);
            a.Finish();
        }) with { Serials = [new SerialConfig(0, Char("com1"))] };
        using Machine machine = Create(config);
        Task<MachineExit> run = Start(machine);
        WaitFor(() => Backend("com1").Output.Length == 1);

        machine.PressPowerButton();

        uint[] words = new BareRun(Finish(machine, run), Console.Output).Words;
        Assert.Equal(1u, words[0] & 1); // SCI_EN
        Assert.Equal(0u, words[1] & 0x100);
    }

    [Theory]
    [InlineData(IrqchipMode.Kernel)]
    [InlineData(IrqchipMode.Split)]
    public void PowerButton_Enabled_RaisesSci(IrqchipMode irqchip)
    {
        const byte vector = 0x49;
        MachineConfig config = Config(a =>
        {
            a.Begin();
            a.EnableLocalApic();
            a.RouteGsi((byte)MachineLayout.SciGsi, vector, level: true);
            a.Out8(Com1, (byte)'?');
            a.WaitIn(Pm1Status + 1, 1);
            a.StoreRequested(vector);
            a.Out16(Pm1Enable, 0x100);
            a.StoreRequested(vector);
            a.Finish();
        }) with { Serials = [new SerialConfig(0, Char("com1"))], Irqchip = irqchip };
        using Machine machine = Create(config);
        Task<MachineExit> run = Start(machine);
        WaitFor(() => Backend("com1").Output.Length == 1);

        machine.PressPowerButton();

        Assert.Equal([0u, 1], new BareRun(Finish(machine, run), Console.Output).Words);
    }

    /// <summary>A payload that asks COM1 at every start whether to reset ('R') or to end.</summary>
    internal static void ResetUntilTold(Assembler a)
    {
        Label end = a.CreateLabel();
        a.Begin();
        a.Out8(Com1 + 2, 1);
        a.Out8(Com1, (byte)'?');
        a.WaitIn(Com1 + 5, 1);
        a.mov(edx, Com1);
        a.@in(al, dx);
        a.cmp(al, (sbyte)'R');
        a.jne(end);
        Reset(a, "cf9");
        a.Label(ref end);
        a.Exit(3);
    }

    /// <summary>Asks for a reset in one of the ways a PC has, and waits for it.</summary>
    private static void Reset(Assembler a, string how)
    {
        switch (how)
        {
            case "cf9":
                a.Out8(0xCF9, 0x06);
                break;
            case "i8042":
                a.Out8(0x64, 0xFE);
                break;
            case "port92":
                a.Out8(0x92, 0x01);
                break;
            default:
                a.mov(esp, GuestCode.StackTop);
                a.push(0);
                a.push(0);
                a.lidt(__[esp]);
                a.ud2();
                break;
        }

        a.Hang();
    }

    /// <summary>A guest that asks on COM1 at every start whether to reset, and ends with debug-exit 3 if not.</summary>
    private MachineConfig AsksWhetherToReset(string how)
    {
        const uint witness = 0x30_0000;
        return Config(a =>
        {
            Label again = a.CreateLabel();
            a.Begin();
            // RAM must be as fresh as at the first start.
            a.cmp(__dword_ptr[witness], 0);
            a.jne(again);
            a.Write32(witness, 1);
            a.Print('B');
            a.Out8(Com1 + 2, 1);
            a.Out8(Com1 + 1, 1); // receive interrupt, so that a stale device would show
            a.Out8(Com1, (byte)'?');
            a.WaitIn(Com1 + 5, 1);
            a.mov(edx, Com1);
            a.@in(al, dx);
            a.cmp(al, (sbyte)'R');
            a.jne(again);
            Reset(a, how);
            a.Label(ref again);
            a.Exit(3);
        }) with { Serials = [new SerialConfig(0, Char("com1"))], NoReboot = false };
    }
}
