using KvmSharp.Core;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Fabric;

public sealed class DoorbellTests
{
    [Fact]
    public void Register_PortAndMemory_SignalWithoutAnExit()
    {
        using var machine = new BareMachine();
        using var port = new EventFd();
        using var memory = new EventFd();
        using var matched = new EventFd();
        using var unmatched = new EventFd();
        using IDisposable a1 = machine.Vm.Doorbells.RegisterPio(0x90, 2, null, port);
        using IDisposable a2 = machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart, 4, null, memory);
        using IDisposable a3 = machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart + 8, 4, 7, matched);
        using IDisposable a4 = machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart + 8, 4, 8, unmatched);
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(dx, 0x90);
            a.@out(dx, ax);
            a.mov(rbx, BareMachine.MmioStart);
            a.mov(__dword_ptr[rbx], eax);
            a.mov(__dword_ptr[rbx + 8], 7);
            Vcpus.PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.True(port.Drain());
        Assert.True(memory.Drain());
        Assert.True(matched.Drain());
        Assert.False(unmatched.Drain());
        Assert.Single(machine.Exits.PioWrites);
        Assert.Empty(machine.Exits.MmioWrites);
    }

    [Fact]
    public void Dispose_Doorbell_WritesExitAgain()
    {
        using var machine = new BareMachine();
        using var kick = new EventFd();
        machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart, 0, null, kick).Dispose();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, BareMachine.MmioStart);
            a.mov(__word_ptr[rbx], ax);
            Vcpus.PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.False(kick.Drain());
        Assert.Single(machine.Exits.MmioWrites);
    }

    [Fact]
    public void Register_SameAddressTwice_Throws()
    {
        using var machine = new BareMachine();
        using var kick = new EventFd();
        using IDisposable first = machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart, 4, null, kick);

        Assert.Throws<LinuxException>(() => machine.Vm.Doorbells.RegisterMmio(BareMachine.MmioStart, 4, null, kick));
    }
}
