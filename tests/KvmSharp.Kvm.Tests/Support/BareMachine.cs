using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Cpuid;
using KvmSharp.Kvm.Vcpus;
using KvmSharp.TestKit.Guests;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>A VM with 4 MiB of memory and nothing else: code at 0x1000, stack below it, page tables at 0x10000, data from 0x20000.</summary>
internal sealed class BareMachine : IDisposable
{
    internal const ulong CodeStart = 0x1000, PageTables = 0x1_0000, DataStart = 0x2_0000;
    internal const ulong MmioStart = 0xD000_0000;
    internal const ulong Gdt = 0x7000, Idt = 0x8000, HandlerStart = 0x3000, ApicBase = 0xFEE0_0000, IoApicBase = 0xFEC0_0000;
    internal const ushort HandlerPort = 0x50;

    private readonly KvmSystem _system = KvmSystem.Open();
    private readonly List<Vcpu> _vcpus = [];

    internal BareMachine(KvmVmOptions? options = null, ulong memoryBytes = 4 << 20)
    {
        Vm = KvmVm.Create(_system, options ?? new KvmVmOptions { Irqchip = IrqchipMode.None });
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = memoryBytes });
        Vm.AddMemory(Memory);
        Vm.CreateInterruptControllers();
    }

    internal KvmSystem System => _system;

    internal KvmVm Vm { get; }

    internal GuestMemory Memory { get; }

    internal RecordingExits Exits { get; } = new();

    internal RecordingEvents Events { get; } = new();

    internal IReadOnlyList<Vcpu> Vcpus => _vcpus;

    internal void Load(int bitness, Action<Assembler> write, ulong address = CodeStart) =>
        Assert.True(Memory.TryWrite(new GuestAddress(address), Payload.Assemble(bitness, address, write)));

    internal Vcpu AddVcpu(IMsrHandler? msrs = null, CpuidTable? cpuid = null)
    {
        Vcpu vcpu = Vm.CreateVcpu(_vcpus.Count, new VcpuOptions { Msrs = msrs, Cpuid = cpuid }, Exits, Events);
        _vcpus.Add(vcpu);
        return vcpu;
    }

    /// <summary>A vCPU that starts in real mode at <see cref="CodeStart"/>.</summary>
    internal Vcpu AddReal(Action<Assembler> write)
    {
        Load(16, write);
        Vcpu vcpu = AddVcpu();
        SetReal(vcpu);
        return vcpu;
    }

    internal static void SetReal(Vcpu vcpu)
    {
        kvm_sregs sregs = vcpu.GetSregs();
        sregs.cs.@base = 0;
        sregs.cs.selector = 0;
        vcpu.SetInitialState(new kvm_regs { rip = CodeStart, rsp = CodeStart, rflags = 2 }, sregs);
    }

    /// <summary>A vCPU that starts in 64-bit mode at <see cref="CodeStart"/>, the first 4 GiB mapped one to one.</summary>
    internal Vcpu AddLong(Action<Assembler> write, CpuidTable? cpuid = null)
    {
        Load(64, write);
        Vcpu vcpu = AddVcpu(cpuid: cpuid ?? LongModeCpuid());
        SetLong(vcpu, Memory);
        return vcpu;
    }

    /// <summary>A 64-bit interrupt gate to a handler that writes to <see cref="HandlerPort"/>, ends the interrupt at the local APIC and returns.</summary>
    internal void SetHandler(byte vector)
    {
        ulong handler = HandlerStart + vector * 0x40UL;
        Load(64, a =>
        {
            a.push(rax);
            a.push(rdx);
            a.mov(al, vector);
            a.mov(dx, HandlerPort);
            a.@out(dx, al);
            a.mov(rax, ApicBase);
            a.mov(__dword_ptr[rax + 0xB0], 0);
            a.pop(rdx);
            a.pop(rax);
            a.iretq();
        }, handler);
        Memory.TryWrite(new GuestAddress(Idt + vector * 16UL), (handler & 0xFFFF) | (8UL << 16) | (0x8E00UL << 32) | ((handler >> 16) << 48));
        Memory.TryWrite(new GuestAddress(Idt + vector * 16UL + 8), handler >> 32);
    }

    /// <summary>Guest code that switches the local APIC on.</summary>
    internal static void EnableApic(Assembler a)
    {
        a.mov(rax, ApicBase);
        a.mov(__dword_ptr[rax + 0xF0], 0x1FF);
    }

    /// <summary>Guest code that says it is ready on port 0xf4 and halts, with interrupts on, for ever.</summary>
    internal static void ReadyAndHalt(Assembler a)
    {
        Label halt = a.CreateLabel();
        a.mov(al, 1);
        a.mov(dx, RecordingExits.DonePort);
        a.@out(dx, al);
        a.sti();
        a.Label(ref halt);
        a.hlt();
        a.jmp(halt);
    }

    internal CpuidTable LongModeCpuid() => new(_system.GetSupportedCpuid());

    internal static void SetLong(Vcpu vcpu, GuestMemory memory)
    {
        const ulong present = 3, large = 0x80;
        memory.TryWrite(new GuestAddress(PageTables), (PageTables + 0x1000) | present);
        for (ulong gib = 0; gib < 4; gib++)
        {
            ulong directory = PageTables + 0x2000 + gib * 0x1000;
            memory.TryWrite(new GuestAddress(PageTables + 0x1000 + gib * 8), directory | present);
            for (ulong i = 0; i < 512; i++)
                memory.TryWrite(new GuestAddress(directory + i * 8), ((gib << 30) + (i << 21)) | present | large);
        }

        kvm_sregs sregs = vcpu.GetSregs();
        var code = new kvm_segment { limit = 0xFFFF_FFFF, selector = 8, type = 11, present = 1, s = 1, l = 1, g = 1 };
        var data = new kvm_segment { limit = 0xFFFF_FFFF, selector = 16, type = 3, present = 1, s = 1, db = 1, g = 1 };
        memory.TryWrite(new GuestAddress(Gdt + 8), 0x00AF_9B00_0000_FFFFUL);
        memory.TryWrite(new GuestAddress(Gdt + 16), 0x00CF_9300_0000_FFFFUL);
        sregs.gdt = new kvm_dtable { @base = Gdt, limit = 23 };
        sregs.idt = new kvm_dtable { @base = Idt, limit = 4095 };
        sregs.cs = code;
        sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
        sregs.cr0 = 0x8000_0033;
        sregs.cr3 = PageTables;
        sregs.cr4 = 0x20;
        sregs.efer = 0x500;
        vcpu.SetInitialState(new kvm_regs { rip = CodeStart, rsp = CodeStart, rflags = 2 }, sregs);
    }

    public void Dispose()
    {
        foreach (Vcpu vcpu in _vcpus)
            vcpu.Dispose();
        Vm.Dispose();
        Memory.Dispose();
        _system.Dispose();
        Exits.Dispose();
    }
}
