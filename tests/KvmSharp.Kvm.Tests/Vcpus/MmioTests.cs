using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Vcpus;

public sealed class MmioTests
{
    private const ulong Value = 0x1122_3344_5566_7788;

    [Fact]
    public void Run_WritesOfEveryWidth_ReachHandler()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, BareMachine.MmioStart);
            a.mov(rcx, Value);
            a.mov(__byte_ptr[rbx], cl);
            a.mov(__word_ptr[rbx + 0x10], cx);
            a.mov(__dword_ptr[rbx + 0x20], ecx);
            a.mov(__qword_ptr[rbx + 0x30], rcx);
            PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.Equal(
            [
                new(0, BareMachine.MmioStart, 1, 0x88), new(0, BareMachine.MmioStart + 0x10, 2, 0x7788),
                new(0, BareMachine.MmioStart + 0x20, 4, 0x5566_7788), new(0, BareMachine.MmioStart + 0x30, 8, Value),
            ], machine.Exits.MmioWrites.ToArray());
        Assert.Equal(4, vcpu.Exits[KvmConstants.KVM_EXIT_MMIO]);
    }

    [Fact]
    public void Run_ReadsOfEveryWidth_GuestSeesReply()
    {
        using var machine = new BareMachine();
        for (int i = 0; i < 4; i++)
            machine.Exits.MmioReplies.Enqueue(Value);
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, BareMachine.MmioStart);
            a.mov(rsi, BareMachine.DataStart);
            a.xor(eax, eax);
            a.mov(al, __byte_ptr[rbx]);
            a.mov(__qword_ptr[rsi], rax);
            a.xor(eax, eax);
            a.mov(ax, __word_ptr[rbx]);
            a.mov(__qword_ptr[rsi + 8], rax);
            a.mov(eax, __dword_ptr[rbx]);
            a.mov(__qword_ptr[rsi + 16], rax);
            a.mov(rax, __qword_ptr[rbx]);
            a.mov(__qword_ptr[rsi + 24], rax);
            PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.True(machine.Memory.TryRead(new GuestAddress(BareMachine.DataStart), out (ulong A, ulong B, ulong C, ulong D) seen));
        Assert.Equal((0x88UL, 0x7788UL, 0x5566_7788UL, Value), seen);
        Assert.Equal([1, 2, 4, 8], machine.Exits.Reads.Select(r => r.Size));
    }

    [Fact]
    public void DropPage_PageInUse_FaultsInAgainWithItsContents()
    {
        using var machine = new BareMachine();
        machine.Memory.TryWrite(new GuestAddress(BareMachine.DataStart), 0x1234_5678u);
        bool dropped = false;
        machine.Exits.OnPioOut = _ => dropped = machine.Vm.DropPage(new GuestAddress(BareMachine.DataStart + 5));
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, BareMachine.DataStart);
            a.mov(ecx, __dword_ptr[rbx]);
            a.mov(dx, 0xE4);
            a.@out(dx, eax);
            a.mov(ecx, __dword_ptr[rbx]);
            a.mov(__dword_ptr[rbx + 8], ecx);
            PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.True(dropped);
        Assert.True(machine.Memory.TryRead(new GuestAddress(BareMachine.DataStart + 8), out uint seen));
        Assert.Equal(0x1234_5678u, seen);
        Assert.False(machine.Vm.DropPage(new GuestAddress(BareMachine.MmioStart)));
    }
}
