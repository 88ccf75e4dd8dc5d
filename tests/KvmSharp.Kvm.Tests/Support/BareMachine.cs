using Iced.Intel;
using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Kvm.Cpuid;
using KvmSharp.Kvm.Vcpus;
using KvmSharp.TestKit.Guests;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>A VM with 4 MiB of memory and nothing else: code at 0x1000, stack below it, page tables at 0x10000, data from 0x20000.</summary>
internal sealed class BareMachine : IDisposable
{
    internal const ulong CodeStart = 0x1000, PageTables = 0x1_0000, DataStart = 0x2_0000;
    internal const ulong MmioStart = 0xD000_0000;

    private readonly KvmSystem _system = KvmSystem.Open();
    private readonly List<Vcpu> _vcpus = [];

    internal BareMachine(KvmVmOptions? options = null, ulong memoryBytes = 4 << 20)
    {
        Vm = KvmVm.Create(_system, options ?? new KvmVmOptions { Irqchip = IrqchipMode.None });
        Memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = memoryBytes });
        Vm.AddMemory(Memory);
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
