using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Cpuid;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Vcpus;

public sealed class MultiprocessorTests
{
    private const ulong Trampoline = 0x2000;

    [Theory]
    [InlineData(IrqchipMode.Kernel)]
    [InlineData(IrqchipMode.Split)]
    public void Start_InitAndSipiFromBootProcessor_StartsTheOthers(IrqchipMode mode)
    {
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = mode });
        machine.Load(16, a =>
        {
            a.mov(dx, 0x51);
            a.@out(dx, al);
            PortIoTests.Done(a);
        }, Trampoline);
        Vcpu boot = machine.AddLong(a =>
        {
            BareMachine.EnableApic(a);
            a.mov(__dword_ptr[rax + 0x300], 0x000C_4500);
            a.mov(__dword_ptr[rax + 0x300], 0x000C_4600 | (int)(Trampoline >> 12));
            BareMachine.ReadyAndHalt(a);
        });
        Vcpu[] others = [machine.AddVcpu(), machine.AddVcpu(), machine.AddVcpu()];
        Array.ForEach(others, v => v.Start());
        boot.Start();

        for (int i = 0; i < 4; i++)
            machine.Exits.WaitDone();

        Assert.Equal([1, 2, 3], machine.Exits.PioWrites.Where(w => w.Address == 0x51).Select(w => w.Vcpu).Order());
    }

    [Fact]
    public void PauseAndStop_ApplicationProcessorThatWaitsForSipi_ReturnPromptly()
    {
        using var machine = new BareMachine(new KvmVmOptions());
        machine.AddVcpu();
        Vcpu waiting = machine.AddVcpu();
        waiting.Start();

        for (int i = 0; i < 200; i++)
        {
            waiting.Pause();
            Assert.Equal(KvmConstants.KVM_MP_STATE_UNINITIALIZED, waiting.GetMpState());
            waiting.Resume();
        }

        waiting.Stop();
        Assert.Equal(VcpuState.Stopped, waiting.State);
    }

    [Fact]
    public void Cpuid_GuestAsksForItsTopology_SeesItsApicId()
    {
        var topology = new CpuTopology(2, 3, 2);
        using var machine = new BareMachine(new KvmVmOptions());
        var builder = new CpuidBuilder(machine.System, new CpuidOptions { Topology = topology, TscKhz = machine.Vm.GetTscKhz() });
        machine.Load(64, a =>
        {
            a.mov(eax, 0xB);
            a.mov(ecx, 1);
            a.cpuid();
            a.mov(esi, edx);
            a.mov(dx, 0x80);
            a.@out(dx, eax);
            a.mov(eax, esi);
            a.@out(dx, eax);
            PortIoTests.Done(a);
        });
        Vcpu vcpu = machine.Vm.CreateVcpu(7, new VcpuOptions { Cpuid = builder.Build(7), ApicId = topology.ApicId(7) }, machine.Exits, machine.Events);
        BareMachine.SetLong(vcpu, machine.Memory);
        vcpu.Start();
        machine.Exits.WaitDone();
        vcpu.Dispose();

        Assert.Equal([3UL, 9UL], machine.Exits.PioWrites.Where(w => w.Address == 0x80).Select(w => w.Value));
    }
}
