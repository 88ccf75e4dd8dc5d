using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Tests.Support;
using KvmSharp.Kvm.Vcpus;
using static Iced.Intel.AssemblerRegisters;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Tests.Vcpus;

public sealed class VcpuExitTests
{
    [Fact]
    public void Run_TripleFault_IsReportedAndPauses()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a => a.ud2());
        kvm_sregs sregs = vcpu.GetSregs();
        sregs.idt.limit = 0;
        vcpu.SetSregs(sregs);

        vcpu.Start();

        Assert.Equal("triple-fault", machine.Events.Next());
        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Paused, 20_000));
        Assert.Equal(1, vcpu.Exits[KVM_EXIT_SHUTDOWN]);
    }

    [Fact]
    public void Run_CodeOutsideMemory_EndsWithRegistersInTheMessage()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(rbx, 0x1234_5678_9ABC);
            a.mov(rax, BareMachine.MmioStart);
            a.jmp(rax);
        });

        vcpu.Start();

        Assert.Equal("fatal", machine.Events.Next());
        VcpuFailure failure = machine.Events.Failure!;
        Assert.StartsWith("vCPU 0: KVM_EXIT_INTERNAL_ERROR", failure.Reason, StringComparison.Ordinal);
        Assert.Contains("rbx=0000123456789abc", failure.Details, StringComparison.Ordinal);
        Assert.Contains("bytes at 0xd0000000: not mapped", failure.Details, StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Paused, 20_000));
    }

    [Fact]
    public void Dump_CodeInMemory_ShowsBytesAndDisassembly()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.mov(eax, 0x55);
            a.hlt();
        });

        string dump = VcpuDump.Create(vcpu);

        Assert.Contains("bytes at 0x1000: B855000000F4", dump, StringComparison.Ordinal);
        Assert.Contains("1000: mov eax,55h", dump, StringComparison.Ordinal);
        Assert.Contains("1005: hlt", dump, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_SingleStep_StopsBehindEachInstruction()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a =>
        {
            a.nop();
            a.nop();
            a.hlt();
        });
        vcpu.SetGuestDebug(new kvm_guest_debug { control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP });

        vcpu.Start();
        Assert.Equal("debug 0x1001", machine.Events.Next());
        Assert.True(SpinWait.SpinUntil(() => vcpu.State == VcpuState.Paused, 20_000));
        vcpu.Resume();

        Assert.Equal("debug 0x1002", machine.Events.Next());
    }

    [Fact]
    public unsafe void HandleExit_BreakpointTheReceiverSkips_GoesOn()
    {
        using var machine = new BareMachine();
        machine.Events.ContinueAfterDebug = true;
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_DEBUG;
        vcpu.RunPage->debug.arch = new kvm_debug_exit_arch { exception = 3, pc = 0x1001 };

        Assert.True(vcpu.HandleExit());
        Assert.Equal("debug 0x1001", machine.Events.Next());
        Assert.Equal(3u, machine.Events.Debug.exception);
    }

    [Fact]
    public void Run_MsrOfUserSpace_ReachesHandlerBothWays()
    {
        var msrs = new FakeMsrs { Value = 0x1122_3344_5566_7788 };
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.None, UserSpaceMsrs = true });
        machine.Load(64, a =>
        {
            a.mov(ecx, 0x1234_5678);
            a.rdmsr();
            a.xchg(eax, edx);
            a.wrmsr();
            PortIoTests.Done(a);
        });
        Vcpu vcpu = machine.AddVcpu(msrs, machine.LongModeCpuid());
        BareMachine.SetLong(vcpu, machine.Memory);

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.Equal((0x1234_5678u, 0x5566_7788_1122_3344UL), msrs.Written);
        Assert.Equal((1L, 1L), (vcpu.Exits[KVM_EXIT_X86_RDMSR], vcpu.Exits[KVM_EXIT_X86_WRMSR]));
    }

    [Fact]
    public void Run_FilteredMsr_ReachesHandler()
    {
        var msrs = new FakeMsrs { Value = 42 };
        using var machine = new BareMachine(new KvmVmOptions { Irqchip = IrqchipMode.None, UserSpaceMsrs = true });
        machine.Vm.SetMsrFilter([0x174], []);
        machine.Load(64, a =>
        {
            a.mov(ecx, 0x174);
            a.rdmsr();
            a.mov(dx, 0x80);
            a.@out(dx, eax);
            PortIoTests.Done(a);
        });
        Vcpu vcpu = machine.AddVcpu(msrs, machine.LongModeCpuid());
        BareMachine.SetLong(vcpu, machine.Memory);

        vcpu.Start();
        machine.Exits.WaitDone();

        Assert.Equal(42UL, machine.Exits.PioWrites.First().Value);
    }

    [Fact]
    public unsafe void HandleExit_MsrWithoutHandler_FaultsInGuest()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_X86_RDMSR;

        Assert.True(vcpu.HandleExit());
        Assert.Equal(1, vcpu.RunPage->msr.error);
    }

    [Theory]
    [InlineData(KVM_SYSTEM_EVENT_SHUTDOWN)]
    [InlineData(KVM_SYSTEM_EVENT_RESET)]
    [InlineData(KVM_SYSTEM_EVENT_CRASH)]
    public unsafe void HandleExit_SystemEvent_ReportsTypeAndData(uint type)
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_SYSTEM_EVENT;
        vcpu.RunPage->system_event.type = type;
        vcpu.RunPage->system_event.ndata = 1000;
        vcpu.RunPage->system_event.data[0] = 7;

        Assert.False(vcpu.HandleExit());
        Assert.Equal($"system-event {type}", machine.Events.Next());
        Assert.Equal(16, machine.Events.SystemEventData.Length);
        Assert.Equal(7UL, machine.Events.SystemEventData[0]);
    }

    [Theory]
    [InlineData(KVM_EXIT_UNKNOWN, "KVM_EXIT_UNKNOWN, hardware exit reason 0x2a")]
    [InlineData(KVM_EXIT_FAIL_ENTRY, "KVM_EXIT_FAIL_ENTRY, hardware entry failure reason 0x2a")]
    [InlineData(KVM_EXIT_MEMORY_FAULT, "KVM_EXIT_MEMORY_FAULT")]
    [InlineData(KVM_EXIT_EXCEPTION, "KVM_EXIT_EXCEPTION, vector 42")]
    [InlineData(KVM_EXIT_TPR_ACCESS, "KVM_EXIT_TPR_ACCESS at 0x2a")]
    [InlineData(250u, "exit reason 250")]
    public unsafe void HandleExit_Unexpected_EndsTheVcpuWithItsName(uint reason, string message)
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddLong(a => a.hlt());
        vcpu.RunPage->exit_reason = reason;
        vcpu.RunPage->hw.hardware_exit_reason = 42;

        Assert.False(vcpu.HandleExit());
        Assert.Equal("fatal", machine.Events.Next());
        Assert.StartsWith($"vCPU 0: {message}", machine.Events.Failure!.Reason, StringComparison.Ordinal);
        Assert.Contains("rip=0000000000001000", machine.Events.Failure.Details, StringComparison.Ordinal);
        Assert.Equal(1, vcpu.Exits[reason]);
    }

    [Fact]
    public unsafe void HandleExit_EmulationFailure_ShowsInstructionBytes()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_INTERNAL_ERROR;
        vcpu.RunPage->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
        vcpu.RunPage->emulation_failure.ndata = 4;
        vcpu.RunPage->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
        vcpu.RunPage->emulation_failure.insn_size = 2;
        vcpu.RunPage->emulation_failure.insn_bytes[0] = 0x0F;
        vcpu.RunPage->emulation_failure.insn_bytes[1] = 0x0B;

        Assert.False(vcpu.HandleExit());
        Assert.EndsWith("instruction bytes 0F0B", machine.Events.Failure!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public unsafe void HandleExit_InternalErrorWithData_ListsIt()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_INTERNAL_ERROR;
        vcpu.RunPage->@internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
        vcpu.RunPage->@internal.ndata = 1000;
        vcpu.RunPage->@internal.data[0] = 0x2A;

        Assert.False(vcpu.HandleExit());
        Assert.Contains("exit while delivering an event, data [2a ", machine.Events.Failure!.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KVM_EXIT_IRQ_WINDOW_OPEN)]
    [InlineData(KVM_EXIT_SET_TPR)]
    [InlineData(KVM_EXIT_X86_BUS_LOCK)]
    [InlineData(KVM_EXIT_INTR)]
    [InlineData(KVM_EXIT_NOTIFY)]
    [InlineData(KVM_EXIT_IOAPIC_EOI)]
    public unsafe void HandleExit_Harmless_GoesOn(uint reason)
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = reason;
        vcpu.RunPage->notify.flags = 0;

        Assert.True(vcpu.HandleExit());
        Assert.Empty(machine.Events.Log);
    }

    [Fact]
    public unsafe void HandleExit_NotifyWithoutContext_EndsTheVcpu()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_NOTIFY;
        vcpu.RunPage->notify.flags = KVM_NOTIFY_CONTEXT_INVALID;

        Assert.False(vcpu.HandleExit());
        Assert.Equal("fatal", machine.Events.Next());
    }

    [Fact]
    public unsafe void HandleExit_UnknownHypercall_AnswersNoSuchCall()
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_HYPERCALL;

        Assert.True(vcpu.HandleExit());
        Assert.Equal(-1000L, (long)vcpu.RunPage->hypercall.ret);
    }

    [Theory]
    [InlineData(3, 1u, 0x1000UL)]
    [InlineData(4, 0xFFFF_FFFFu, 0x1000UL)]
    [InlineData(1, 1u, ulong.MaxValue)]
    public unsafe void HandleExit_PortBufferOutsidePage_EndsTheVcpu(byte size, uint count, ulong offset)
    {
        using var machine = new BareMachine();
        Vcpu vcpu = machine.AddVcpu();
        vcpu.RunPage->exit_reason = KVM_EXIT_IO;
        vcpu.RunPage->io = new kvm_run.io_exit { size = size, count = count, data_offset = offset };

        Assert.False(vcpu.HandleExit());
        Assert.Equal("fatal", machine.Events.Next());
    }

    private sealed class FakeMsrs : IMsrHandler
    {
        internal ulong Value { get; init; }

        internal (uint Index, ulong Value) Written { get; private set; }

        public bool TryRead(int vcpuIndex, uint index, out ulong value)
        {
            value = Value;
            return true;
        }

        public bool TryWrite(int vcpuIndex, uint index, ulong value)
        {
            Written = (index, value);
            return true;
        }
    }
}
