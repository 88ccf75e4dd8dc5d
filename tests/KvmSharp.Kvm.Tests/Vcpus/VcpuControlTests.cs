using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Vcpus;

public sealed class VcpuControlTests
{
    [Fact]
    public void Pause_SpinningGuest_ThousandsOfTimesStopsEachTime()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(Spin);
        vcpu.Start();
        ulong last = 0;

        for (int i = 0; i < 3000; i++)
        {
            vcpu.Pause();
            Assert.Equal(VcpuState.Paused, vcpu.State);
            last = vcpu.GetRegs().rax;
            vcpu.Resume();
        }

        // A pause may follow its resume before the guest had a turn; given one, the guest goes on.
        Assert.True(SpinWait.SpinUntil(() => Moved(vcpu, last), 30_000));
        vcpu.Stop();
        Assert.Equal(VcpuState.Stopped, vcpu.State);
    }

    [Fact]
    public void PauseResume_FromThreeThreadsDuringPortIo_LosesNoAccess()
    {
        using var machine = new BareMachine();
        var echo = new EchoExits();
        machine.Load(16, a =>
        {
            Label loop = a.CreateLabel();
            a.mov(dx, 0x80);
            a.Label(ref loop);
            a.@in(eax, dx);
            a.@out(dx, eax);
            a.jmp(loop);
        });
        using Vcpu vcpu = machine.Vm.CreateVcpu(0, new VcpuOptions(), echo, machine.Events);
        BareMachine.SetReal(vcpu);
        vcpu.Start();

        Thread[] threads = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                vcpu.Pause();
                vcpu.Resume();
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        uint before = Volatile.Read(ref echo.Next);
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref echo.Next) > before + 10, 20_000), "the vCPU did not go on after the last resume");
        vcpu.Stop();

        Assert.Equal(0, echo.Mismatches);
    }

    [Fact]
    public void Pause_DuringPortRead_CompletesTheInstruction()
    {
        using var machine = new BareMachine();
        machine.Exits.PioReplies.Enqueue(0x77);
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.xor(eax, eax);
            a.mov(dx, 0x80);
            a.@in(al, dx);
            Spin(a);
        });
        machine.Exits.OnPioIn = vcpu.Pause;
        vcpu.Start();

        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Paused, 20_000));

        kvm_regs regs = vcpu.GetRegs();
        Assert.Equal(0x77UL, regs.rax & 0xFF);
        Assert.Equal(BareMachine.CodeStart + 7, regs.rip);
    }

    [Theory]
    [InlineData(IrqchipMode.Kernel)]
    [InlineData(IrqchipMode.Split)]
    [InlineData(IrqchipMode.None)]
    public void PauseAndStop_HaltedVcpu_ReturnPromptly(IrqchipMode mode)
    {
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = mode });
        Vcpu vcpu = machine.AddReal(PortIoTests.Done);
        vcpu.Start();
        machine.Exits.WaitDone();

        for (int i = 0; i < 300; i++)
        {
            vcpu.Pause();
            Assert.Equal(VcpuState.Paused, vcpu.State);
            vcpu.Resume();
        }

        vcpu.Stop();
        Assert.Equal(VcpuState.Stopped, vcpu.State);
        Assert.Single(machine.Exits.PioWrites);
    }

    [Fact]
    public void Wake_HaltWithoutIrqchip_ContinuesBehindIt()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.mov(dx, 0x80);
            a.@out(dx, al);
            a.hlt();
            PortIoTests.Done(a);
        });
        vcpu.Start();
        Assert.True(SpinWait.SpinUntil(() => vcpu.Exits[KvmConstants.KVM_EXIT_HLT] == 1, 20_000));
        vcpu.Pause();
        vcpu.Resume();
        Assert.False(machine.Exits.WaitDone(20));

        vcpu.Wake();

        machine.Exits.WaitDone();
    }

    [Fact]
    public void StartStop_RacingFromTwoThreads_AlwaysEnds()
    {
        for (int i = 0; i < 60; i++)
        {
            using var machine = new BareMachine();
            Vcpu vcpu = machine.AddReal(Spin);
            var stopper = new Thread(vcpu.Stop);
            vcpu.Start();
            stopper.Start();
            vcpu.Pause();
            vcpu.Resume();
            vcpu.Stop();
            stopper.Join();
            Assert.Equal(VcpuState.Stopped, vcpu.State);
        }
    }

    [Fact]
    public void Stop_FromExitHandler_EndsThread()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(dx, 0x80);
            a.Label(ref loop);
            a.@out(dx, al);
            a.jmp(loop);
        });
        machine.Exits.OnPioOut = _ => vcpu.Stop();
        vcpu.Start();

        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Stopped, 20_000));
        Assert.Single(machine.Exits.PioWrites);
    }

    [Fact]
    public void RunOnVcpu_RunningVcpu_RunsBetweenInstructionsOnItsThread()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(Spin);
        vcpu.Start();
        string? name = null;
        ulong rip = 0;

        for (int i = 0; i < 200; i++)
        {
            vcpu.RunOnVcpu(v =>
            {
                name = Thread.CurrentThread.Name;
                rip = v.GetRegs().rip;
            });
        }

        Assert.Equal("vcpu 0", name);
        Assert.InRange(rip, BareMachine.CodeStart, BareMachine.CodeStart + 8);
        Assert.Equal(VcpuState.Running, vcpu.State);
        Assert.Throws<FormatException>(() => vcpu.RunOnVcpu(_ => throw new FormatException()));
    }

    [Fact]
    public void GetRegs_RunningVcpu_Throws()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(Spin);
        vcpu.Start();

        Assert.Throws<InvalidOperationException>(() => vcpu.GetRegs());
    }

    [Fact]
    public void Start_SecondTime_Throws()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(Spin);
        vcpu.Start();

        Assert.Throws<InvalidOperationException>(vcpu.Start);
    }

    [Fact]
    public void Stop_NeverStarted_IsStopped()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(Spin);

        vcpu.Pause();
        vcpu.Resume();
        vcpu.Stop();

        Assert.Equal(VcpuState.Stopped, vcpu.State);
    }

    [Fact]
    public void Exits_ExceptionInHandler_BecomesFailureAndEndsThread()
    {
        using var machine = new BareMachine();
        machine.Exits.OnPioOut = _ => throw new InvalidOperationException("handler broke");
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.mov(dx, 0x80);
            a.@out(dx, al);
        });
        vcpu.Start();

        Assert.Equal("fatal", machine.Events.Next());
        Assert.Contains("handler broke", machine.Events.Failure!.Reason, StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Stopped, 20_000));
    }

    [Fact]
    public void RunLoop_ThousandsOfExits_AllocatesNothing()
    {
        using var machine = new BareMachine();
        var counting = new CountingExits();
        machine.Load(64, a =>
        {
            Label loop = a.CreateLabel();
            a.mov(rbx, BareMachine.MmioStart);
            a.mov(dx, 0x80);
            a.Label(ref loop);
            a.@out(dx, al);
            a.@in(al, dx);
            a.mov(__dword_ptr[rbx], eax);
            a.mov(eax, __dword_ptr[rbx]);
            a.jmp(loop);
        });
        using Vcpu vcpu = machine.Vm.CreateVcpu(0, new VcpuOptions { Cpuid = machine.LongModeCpuid() }, counting, machine.Events);
        BareMachine.SetLong(vcpu, machine.Memory);
        vcpu.Start();

        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref counting.Writes) > 6000, 30_000));
        vcpu.Stop();

        Assert.Equal(0, counting.Allocated);
        Assert.True(vcpu.Exits.Total > 20_000);
    }

    private static bool Moved(Vcpu vcpu, ulong since)
    {
        Thread.Sleep(1);
        vcpu.Pause();
        bool moved = vcpu.GetRegs().rax != since;
        vcpu.Resume();
        return moved;
    }

    private static void Spin(Assembler a)
    {
        Label loop = a.CreateLabel();
        a.Label(ref loop);
        a.inc(eax);
        a.jmp(loop);
    }
}
