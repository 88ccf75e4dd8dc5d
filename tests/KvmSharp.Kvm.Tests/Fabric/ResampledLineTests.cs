using KvmSharp.Core.Events;
using KvmSharp.Core.Fabric;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Fabric;

public sealed class ResampledLineTests : IDisposable
{
    private const byte Vector = 0x30;
    private const uint Gsi = 17;

    // Where InterruptTests finds one interrupt more than there should be, there is one here.
    private const int OneMore = 1;

    private readonly EventLoop _loop = new(new EventLoopOptions { Name = "resample" });

    public ResampledLineTests() => _loop.Start();

    public void Dispose() => _loop.Dispose();

    [Fact]
    public void SetLevel_AssertedAtTheEndOfInterrupt_FiresAgainUntilItIsNot()
    {
        using BareMachine machine = Waiting();
        using ResampledLine line = Line(machine);
        AtRun(machine, (5, () => line.SetLevel(false)));

        line.SetLevel(true);
        machine.Exits.WaitForHandler(5);
        Thread.Sleep(20);

        Assert.InRange(machine.Exits.HandlerRuns, 5, 5 + OneMore);
    }

    [Fact]
    public void SetLevel_DeassertedByTheHandler_EachComesToTheGuest()
    {
        using BareMachine machine = Waiting();
        using ResampledLine line = Line(machine);
        machine.Exits.OnPioOut = _ => line.SetLevel(false);

        for (int i = 0; i < 50; i++)
        {
            int before = machine.Exits.HandlerRuns;
            line.SetLevel(true);
            machine.Exits.WaitForHandler(before + 1);
            Thread.Sleep(2);
        }

        Assert.InRange(machine.Exits.HandlerRuns, 50, 50 * (1 + OneMore));
    }

    [Fact]
    public void SetLevel_AgainBeforeTheEndOfInterrupt_IsNotLost()
    {
        using BareMachine machine = Waiting();
        using ResampledLine line = Line(machine);
        int runs = 0;
        machine.Exits.OnPioOut = _ =>
        {
            line.SetLevel(false);
            if (++runs < 20)
                line.SetLevel(true);
        };

        line.SetLevel(true);
        machine.Exits.WaitForHandler(20);
    }

    [Fact]
    public void SetLevel_BesidesALineOfTheSameInput_EitherHoldsIt()
    {
        using BareMachine machine = Waiting();
        using ResampledLine line = Line(machine);
        IIrqLine other = machine.Vm.Interrupts.GetLine(Gsi);
        AtRun(machine, (2, () => other.SetLevel(true)), (4, () => line.SetLevel(false)), (6, () => other.SetLevel(false)));

        line.SetLevel(true);
        machine.Exits.WaitForHandler(6);
        Thread.Sleep(20);

        // The fourth run may be the other line's, while this one is being asserted once more: KVM does that by a work queue, which may come after the sixth.
        const int stillUnderWay = 1;
        Assert.InRange(machine.Exits.HandlerRuns, 6, 6 + stillUnderWay + OneMore);
    }

    [Fact]
    public void Dispose_Asserted_LowersTheInput()
    {
        using BareMachine machine = Waiting();
        ResampledLine line = Line(machine);
        AtRun(machine, (3, line.Dispose));

        line.SetLevel(true);
        machine.Exits.WaitForHandler(3);
        Thread.Sleep(20);

        Assert.InRange(machine.Exits.HandlerRuns, 3, 3 + OneMore);
    }

    [Fact]
    public void TryCreate_IoApicOutsideTheKernel_IsNull()
    {
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.Split });

        Assert.Null(ResampledLine.TryCreate(machine.Vm.Interrupts, Gsi, _loop));
    }

    private ResampledLine Line(BareMachine machine) =>
        ResampledLine.TryCreate(machine.Vm.Interrupts, Gsi, _loop) ?? throw new InvalidOperationException("this KVM has no KVM_CAP_IRQFD_RESAMPLE");

    /// <summary>What to do when the handler runs for the nth time, before its end of interrupt.</summary>
    private static void AtRun(BareMachine machine, params (int Run, Action Do)[] steps)
    {
        int runs = 0;
        machine.Exits.OnPioOut = _ =>
        {
            runs++;
            Array.Find(steps, step => step.Run == runs).Do?.Invoke();
        };
    }

    /// <summary>A guest that waits in HLT with interrupts on, its handler installed and the I/O APIC's input level-triggered.</summary>
    private static BareMachine Waiting()
    {
        var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.Kernel });
        machine.SetHandler(Vector);
        Vcpu vcpu = machine.AddLong(a =>
        {
            BareMachine.EnableApic(a);
            a.mov(rbx, BareMachine.IoApicBase);
            a.mov(__dword_ptr[rbx], 0x10 + (2 * Gsi) + 1);
            a.mov(__dword_ptr[rbx + 0x10], 0);
            a.mov(__dword_ptr[rbx], 0x10 + (2 * Gsi));
            a.mov(__dword_ptr[rbx + 0x10], Vector | (1 << 15));
            BareMachine.ReadyAndHalt(a);
        });
        vcpu.Start();
        machine.Exits.WaitDone();
        return machine;
    }
}
