using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Tests.Vcpus;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests;

public sealed class KvmVmTests
{
    [Fact]
    public void GetDirtyLog_GuestWrites_MarksExactlyThosePages()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, BareMachine.DataStart);
            a.mov(__byte_ptr[rbx], 1);
            a.mov(__byte_ptr[rbx + 0x3000], 1);
            PortIoTests.Done(a);
        });
        machine.Vm.SetDirtyLogging(true);
        MemorySlot slot = machine.Vm.Slots[0];
        ulong[] bitmap = new ulong[slot.PageCount / 64];

        vcpu.Start();
        machine.Exits.WaitDone();
        vcpu.Stop();
        machine.Vm.GetDirtyLog(slot, bitmap);

        // Besides data at pages 0x20 and 0x23 the processor itself may mark page tables (0x10-0x15) and descriptors (7).
        Assert.Equal(0b1001UL << 32, bitmap[0] & ~(0x3FUL << 16) & ~(1UL << 7));
        if (machine.Vm.HasManualDirtyLog)
        {
            machine.Vm.ClearDirtyLog(slot, 0, 64, bitmap);
            machine.Vm.GetDirtyLog(slot, bitmap);
        }

        Assert.Equal(0UL, bitmap[0] & (0b1001UL << 32));
    }

    [Fact]
    public void DirtyRing_GuestWrites_DeliversEveryPageAgainAfterReset()
    {
        const int pages = 600;
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.None, DirtyRingBytes = 1 << 16 });
        Vcpu vcpu = machine.AddLong(a =>
        {
            DirtyPages(a, pages);
            a.mov(dx, 0x80);
            a.@out(dx, al);
            DirtyPages(a, pages);
            PortIoTests.Done(a);
        });
        var first = new HashSet<ulong>();
        machine.Exits.OnPioOut = _ =>
        {
            Harvest(vcpu, first);
            machine.Vm.ResetDirtyRings();
        };
        machine.Vm.SetDirtyLogging(true);

        vcpu.Start();
        machine.Exits.WaitDone();
        vcpu.Stop();
        var second = new HashSet<ulong>();
        Harvest(vcpu, second);

        Assert.Equal(pages, Enumerable.Range(0, pages).Count(i => first.Contains((BareMachine.DataStart >> 12) + (ulong)i)));
        Assert.Equal(pages, Enumerable.Range(0, pages).Count(i => second.Contains((BareMachine.DataStart >> 12) + (ulong)i)));
    }

    [Fact]
    public void DirtyRing_Full_IsReported()
    {
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.None, DirtyRingBytes = 4096 });
        machine.Events.DirtyRingFull = vcpu => vcpu.Pause();
        Vcpu vcpu = machine.AddLong(a =>
        {
            DirtyPages(a, 600);
            PortIoTests.Done(a);
        });
        machine.Vm.SetDirtyLogging(true);

        vcpu.Start();

        Assert.Equal("dirty-ring-full", machine.Events.Next());
        Assert.True(vcpu.Exits[KvmConstants.KVM_EXIT_DIRTY_RING_FULL] > 0);
    }

    private static void DirtyPages(Iced.Intel.Assembler a, int pages)
    {
        Iced.Intel.Label loop = a.CreateLabel();
        a.mov(rbx, BareMachine.DataStart);
        a.mov(ecx, pages);
        a.Label(ref loop);
        a.mov(__byte_ptr[rbx], 1);
        a.add(rbx, 0x1000);
        a.dec(ecx);
        a.jnz(loop);
    }

    private static void Harvest(Vcpu vcpu, HashSet<ulong> into)
    {
        var batch = new (uint Slot, ulong Page)[64];
        for (int count; (count = vcpu.DirtyRing!.Harvest(batch)) > 0;)
            into.UnionWith(batch.Take(count).Select(b => b.Page));
    }

    [Fact]
    public void AddSlot_Overlapping_Throws()
    {
        using var machine = new BareMachine();
        MemorySlot slot = machine.Vm.Slots[0];

        LinuxException error = Assert.Throws<LinuxException>(() => machine.Vm.AddSlot(slot.Start, 4096, slot.Host));

        Assert.Equal(17, error.Errno);
    }

    [Fact]
    public void RemoveSlot_MemoryInUse_BecomesMmio()
    {
        using var machine = new BareMachine();
        MemorySlot extra = machine.Vm.AddSlot(new GuestAddress(0x1000_0000), 4096, machine.Vm.Slots[0].Host + 0x30_0000);
        machine.Exits.OnPioOut = _ => machine.Vm.RemoveSlot(extra);
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, 0x1000_0000);
            a.mov(__dword_ptr[rbx], 5);
            a.mov(dx, 0x80);
            a.@out(dx, al);
            a.mov(__dword_ptr[rbx], 6);
            PortIoTests.Done(a);
        });

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.Equal([new(0, 0x1000_0000, 4, 6)], machine.Exits.MmioWrites.ToArray());
        Assert.True(machine.Memory.TryRead(new GuestAddress(0x30_0000), out uint written));
        Assert.Equal(5u, written);
    }

    [Fact]
    public void SetClock_ThenGet_HasAdvancedFromThere()
    {
        using var machine = new BareMachine(new KvmVmOptions());

        machine.Vm.SetClock(5_000_000_000);

        Assert.InRange(machine.Vm.GetClock().clock, 5_000_000_000UL, 65_000_000_000UL);
    }

    [Fact]
    public void Create_KernelIrqchip_RoutesTimerToInput2()
    {
        using var machine = new BareMachine(new KvmVmOptions());

        kvm_irq_routing_entry timer = machine.Vm.Routing!.Entries.ToArray().Single(e => e.gsi == 0 && e.u.irqchip.irqchip == KvmConstants.KVM_IRQCHIP_IOAPIC);

        Assert.Equal(2u, timer.u.irqchip.pin);
        Assert.Equal(0u, machine.Vm.GetIrqchip(KvmConstants.KVM_IRQCHIP_PIC_MASTER).chip.pic.isr);
    }

    [Fact]
    public void Create_SplitIrqchip_HasIoApicAndNoPit()
    {
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.Split });

        Assert.NotNull(machine.Vm.IoApic);
        Assert.Throws<LinuxException>(() => machine.Vm.GetPit());
    }

    [Fact]
    public void Interrupts_WithoutIrqchip_Throws()
    {
        using var machine = new BareMachine();

        Assert.Throws<InvalidOperationException>(() => machine.Vm.Interrupts);
    }

    [Fact]
    public void State_SetToWhatWasRead_ReadsTheSame()
    {
        using var machine = new BareMachine(new KvmVmOptions());
        Vcpu vcpu = machine.AddLong(a => a.hlt());
        byte[] xsave = vcpu.GetXsave();
        kvm_sregs sregs = vcpu.GetSregs();
        kvm_vcpu_events events = vcpu.GetEvents();

        vcpu.SetXsave(xsave);
        vcpu.SetXcrs(vcpu.GetXcrs());
        vcpu.SetFpu(vcpu.GetFpu());
        vcpu.SetDebugRegs(vcpu.GetDebugRegs());
        vcpu.SetLapic(vcpu.GetLapic());
        vcpu.SetMpState(vcpu.GetMpState());
        vcpu.SetEvents(events);
        vcpu.SetSregs(sregs);
        vcpu.SetMsr(0x174, 0x10);

        Assert.Equal(machine.Vm.XsaveSize, xsave.Length);
        Assert.Equal(0x10UL, vcpu.GetMsr(0x174));
        Assert.Equal(sregs.cr3, vcpu.GetSregs().cr3);
        Assert.Equal(0xC06UL & ~0x400UL, vcpu.GetMsr(0x2FF) & ~0x400UL);
    }
}
