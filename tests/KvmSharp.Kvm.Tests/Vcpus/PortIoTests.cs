using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Vcpus;

public sealed class PortIoTests
{
    [Fact]
    public void Run_RealModeOutOfEveryWidth_ReachesHandler()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.mov(dx, 0x1234);
            a.mov(eax, 0x11223344);
            a.@out(dx, al);
            a.@out(dx, ax);
            a.@out(dx, eax);
            Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        RecordingExits.Access[] writes = [.. machine.Exits.PioWrites];
        Assert.Equal(new RecordingExits.Access(0, 0x1234, 1, 0x44), writes[0]);
        Assert.Equal(new RecordingExits.Access(0, 0x1234, 2, 0x3344), writes[1]);
        Assert.Equal(new RecordingExits.Access(0, 0x1234, 4, 0x11223344), writes[2]);
        Assert.Equal(4, vcpu.Exits[KvmConstants.KVM_EXIT_IO]);
    }

    [Fact]
    public void Run_InOfEveryWidth_GuestSeesReply()
    {
        using var machine = new BareMachine();
        machine.Exits.PioReplies.Enqueue(0x5A);
        machine.Exits.PioReplies.Enqueue(0xBEEF);
        machine.Exits.PioReplies.Enqueue(0xCAFEF00D);
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.mov(dx, 0x80);
            a.xor(eax, eax);
            a.@in(al, dx);
            a.mov(__dword_ptr[0x2000], eax);
            a.xor(eax, eax);
            a.@in(ax, dx);
            a.mov(__dword_ptr[0x2004], eax);
            a.@in(eax, dx);
            a.mov(__dword_ptr[0x2008], eax);
            Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.True(machine.Memory.TryRead(new GuestAddress(0x2000), out (uint A, uint B, uint C) seen));
        Assert.Equal((0x5Au, 0xBEEFu, 0xCAFEF00Du), seen);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Run_RepOuts_DeliversEveryElementInOrder(int size)
    {
        using var machine = new BareMachine();
        for (int i = 0; i < 600; i++)
            machine.Memory.TryWrite(new GuestAddress(0x4000 + (ulong)(i * size)), (byte)i);
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.cld();
            a.mov(si, 0x4000);
            a.mov(cx, 600);
            a.mov(dx, 0x99);
            StringOut(a, size);
            Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        RecordingExits.Access[] writes = machine.Exits.PioWrites.Where(w => w.Address == 0x99).ToArray();
        Assert.Equal(600, writes.Length);
        Assert.All(writes, w => Assert.Equal(size, w.Size));
        Assert.Equal(Enumerable.Range(0, 600).Select(i => (byte)i), writes.Select(w => (byte)w.Value));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Run_RepIns_FillsMemoryWithEveryElement(int size)
    {
        using var machine = new BareMachine();
        for (int i = 0; i < 600; i++)
            machine.Exits.PioReplies.Enqueue((ulong)i);
        Vcpu vcpu = machine.AddReal(a =>
        {
            a.cld();
            a.xor(ax, ax);
            a.mov(es, ax);
            a.mov(di, 0x4000);
            a.mov(cx, 600);
            a.mov(dx, 0x99);
            StringIn(a, size);
            Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        byte[] seen = new byte[600 * size];
        Assert.True(machine.Memory.TryRead(new GuestAddress(0x4000), seen));
        Assert.Equal(Enumerable.Range(0, 600).Select(i => (byte)i), Enumerable.Range(0, 600).Select(i => seen[i * size]));
        Assert.Equal(600, machine.Exits.Reads.Count);
    }

    internal static void Done(Assembler a)
    {
        Label halt = a.CreateLabel();
        a.mov(al, 1);
        a.mov(dx, RecordingExits.DonePort);
        a.@out(dx, al);
        a.Label(ref halt);
        a.hlt();
        a.jmp(halt);
    }

    private static void StringOut(Assembler a, int size)
    {
        if (size == 1)
            a.rep.outsb();
        else if (size == 2)
            a.rep.outsw();
        else
            a.rep.outsd();
    }

    private static void StringIn(Assembler a, int size)
    {
        if (size == 1)
            a.rep.insb();
        else if (size == 2)
            a.rep.insw();
        else
            a.rep.insd();
    }
}
