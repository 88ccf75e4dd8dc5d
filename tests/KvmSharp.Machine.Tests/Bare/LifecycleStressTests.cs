using Iced.Intel;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging.Abstractions;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare;

/// <summary>The host's commands at every moment of a machine's life, from other threads. Timeouts only guard against deadlock.</summary>
public sealed class LifecycleStressTests : BareFixture
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Commands_AtRandomMomentsOfRunningMachine_EndsWhenToldTo(int cpus)
    {
        var random = new Random(cpus);
        MachineConfig config = Config(Spin) with { Cpus = Cpus(cpus) };
        for (int i = 0; i < 40; i++)
        {
            using Machine machine = Create(config);
            Task<MachineExit> run = Start(machine);
            Storm(machine, random.Next(), 3, 20);
            machine.RequestStop();

            Assert.Equal(new MachineExit(MachineExitKind.Stopped), Finish(machine, run));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Commands_WhileGuestResetsAllTheTime_EndsWhenToldTo(int cpus)
    {
        MachineConfig config = Config(a => a.Out8(0xCF9, 6)) with { Cpus = Cpus(cpus), NoReboot = false };
        for (int i = 0; i < 10; i++)
        {
            using Machine machine = Create(config);
            Task<MachineExit> run = Start(machine);
            Storm(machine, (cpus * 100) + i, 3, 60);
            machine.Resume();
            machine.RequestStop();

            Assert.Equal(new MachineExit(MachineExitKind.Stopped), Finish(machine, run));
        }
    }

    [Fact]
    public void RequestStop_AtAnyMomentOfReset_Ends()
    {
        MachineConfig config = Config(a => a.Out8(0xCF9, 6)) with { NoReboot = false };
        for (int i = 0; i < 60; i++)
        {
            using Machine machine = Create(config);
            Task<MachineExit> run = Start(machine);
            Thread.Sleep(TimeSpan.FromMilliseconds(i * 0.37));
            machine.RequestStop();

            Assert.Equal(MachineExitKind.Stopped, Finish(machine, run).Kind);
        }
    }

    [Fact]
    public void Pause_WhileRunning_StopsTheGuestUntilResume()
    {
        using Machine machine = Create(Config(Chatter));
        Task<MachineExit> run = Start(machine);
        WaitFor(() => Console.Output.Length > 10);

        machine.Pause();
        int paused = Console.Output.Length;
        Thread.Sleep(30);
        Assert.Equal(paused, Console.Output.Length);
        machine.Resume();

        WaitFor(() => Console.Output.Length > paused);
        machine.RequestStop();
        Finish(machine, run);
    }

    [Fact]
    public void Pause_BeforeRun_GuestStartsAtResume()
    {
        using Machine machine = Create(Config(a =>
        {
            a.Print('x');
            a.Exit(0);
        }));
        machine.Pause();
        Task<MachineExit> run = Start(machine);
        Thread.Sleep(30);
        Assert.Empty(Console.Output);

        machine.Resume();

        Assert.Equal(MachineExitKind.DebugExit, Finish(machine, run).Kind);
        Assert.Equal("x", Console.OutputText);
    }

    [Fact]
    public void RequestStop_BeforeRun_RunReturnsAtOnce()
    {
        using Machine machine = Create(Config(Spin));
        machine.RequestStop();

        Assert.Equal(MachineExitKind.Stopped, Finish(machine, Start(machine)).Kind);
    }

    [Fact]
    public void RequestStop_WhilePaused_Ends()
    {
        using Machine machine = Create(Config(Spin) with { Cpus = Cpus(2) });
        Task<MachineExit> run = Start(machine);
        machine.Pause();
        machine.RequestStop();

        Assert.Equal(MachineExitKind.Stopped, Finish(machine, run).Kind);
    }

    [Fact]
    public void Commands_AfterTheEnd_DoNothing()
    {
        using Machine machine = Create(Config(a => a.Exit(5)));
        MachineExit exit = Finish(machine, Start(machine));

        machine.Pause();
        machine.Resume();
        machine.PressPowerButton();
        machine.RequestStop();
        machine.Dispose();
        machine.Pause();
        machine.Resume();
        machine.PressPowerButton();

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 11), exit);
    }

    [Fact]
    public void Commands_BeforeRun_LeaveTheMachineFit()
    {
        using Machine machine = Create(Config(a => a.Exit(5)) with { Cpus = Cpus(2) });
        Storm(machine, 7, 3, 30);
        machine.Resume();

        Assert.Equal(new MachineExit(MachineExitKind.DebugExit, 11), Finish(machine, Start(machine)));
    }

    [Fact]
    public void BoardResume_BeforeStart_StartIsHarmless()
    {
        // A resume may find the board of a reset before the control thread has started it.
        MachineConfig config = Config(a =>
        {
            a.Print('x');
            a.Hang();
        }) with { Cpus = Cpus(2) };
        using Machine machine = Create(config);
        using var chars = new CharPorts(Host().OpenChar);
        using var ends = new HostEnds(Host());
        using Board board = Board.Build(config, NullLoggerFactory.Instance, chars, ends, machine);

        board.Resume();
        board.Start();

        WaitFor(() => Console.OutputText == "x");
    }

    [Fact]
    public void PauseAndResume_WithoutRest_EveryResetStillStartsTheGuest()
    {
        MachineConfig config = Config(a =>
        {
            a.Print('B');
            a.Out8(0xCF9, 6);
            a.Hang();
        }) with { NoReboot = false };
        using Machine machine = Create(config);
        Task<MachineExit> run = Start(machine);

        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                machine.Pause();
                machine.Resume();
                return Console.Output.Length >= 50 || run.IsCompleted;
            },
            Guard));

        machine.RequestStop();
        Assert.Equal(new MachineExit(MachineExitKind.Stopped), Finish(machine, run));
    }

    /// <summary>Random commands from several threads; returns when all are done.</summary>
    private static void Storm(Machine machine, int seed, int threads, int commands)
    {
        var storm = new Thread[threads];
        var failures = new Exception?[threads];
        for (int t = 0; t < threads; t++)
        {
            int index = t;
            storm[t] = new Thread(() =>
            {
                try
                {
                    var random = new Random(seed + index);
                    for (int i = 0; i < commands; i++)
                        Command(machine, random);
                }
                catch (Exception e)
                {
                    failures[index] = e;
                }
            });
            storm[t].Start();
        }

        foreach (Thread thread in storm)
            Assert.True(thread.Join(Guard), "a command did not return");
        Assert.All(failures, Assert.Null);
    }

    private static void Command(Machine machine, Random random)
    {
        switch (random.Next(5))
        {
            case 0:
                machine.Pause();
                break;
            case 1:
                machine.Resume();
                break;
            case 2:
                machine.PressPowerButton();
                break;
            case 3:
                _ = machine.ReadStatistics();
                break;
            default:
                Thread.SpinWait(random.Next(20_000));
                break;
        }
    }

    private static void Spin(Assembler a)
    {
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.jmp(again);
    }

    private static void Chatter(Assembler a)
    {
        Label again = a.CreateLabel();
        a.mov(edx, GuestCode.ConsolePort);
        a.Label(ref again);
        a.@out(dx, al);
        a.jmp(again);
    }
}
