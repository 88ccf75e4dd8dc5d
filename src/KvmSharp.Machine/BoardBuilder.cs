using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Kvm;
using KvmSharp.Kvm.Cpuid;
using KvmSharp.Kvm.Vcpus;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>
/// Builds a board: the VM and its memory, devices through <see cref="DeviceCatalog"/>, firmware tables, kernel, vCPUs. Whatever is
/// made goes onto the stack of owned parts at once.
/// </summary>
internal sealed class BoardBuilder(MachineConfig config, ILoggerFactory loggers, CharPorts chars, Machine machine, Stack<IDisposable> owned)
{
    private const ulong IoApicLength = 0x1000;

    public Board Build()
    {
        KvmSystem system = Own(KvmSystem.Open(config.KvmDevice));
        CheckCpuLimit(system);
        GuestMemory memory = Own(GuestMemory.Create(config.Memory.ToOptions()));
        KvmVm vm = Own(KvmVm.Create(system, VmOptions()));
        vm.AddMemory(memory);

        var counters = new DeviceExitCounters(config.Cpus.Count);
        BoardContext context = CreateContext(memory, vm, counters);
        if (vm.IoApic is { } ioApic)
            Own(context.Mmio.Register(MachineLayout.IoApicAddress, IoApicLength, ioApic, "ioapic"));
        DeviceCatalog.AttachAll(context);

        BootEntry entry = LoadGuest(context);
        Vcpu[] vcpus = CreateVcpus(vm, entry, new BusExitHandler(context.Pio, context.Mmio, counters));
        return new Board(owned, vcpus, context.PowerManagement, counters);
    }

    private void CheckCpuLimit(KvmSystem system)
    {
        if (config.Cpus.Count > system.MaxVcpus)
            throw new ConfigException($"{config.Cpus.Count} cpus are more than this host's KVM allows", $"use at most {system.MaxVcpus}");
    }

    private KvmVmOptions VmOptions() => new()
    {
        Irqchip = config.Irqchip == Config.IrqchipMode.Split ? Kvm.IrqchipMode.Split : Kvm.IrqchipMode.Kernel,
        TssAddress = MachineLayout.TssAddress,
        IdentityMapAddress = MachineLayout.IdentityMapAddress,
    };

    private BoardContext CreateContext(GuestMemory memory, KvmVm vm, DeviceExitCounters counters)
    {
        ILogger busLog = loggers.CreateLogger("bus");
        return new BoardContext(owned)
        {
            Config = config,
            Memory = memory,
            Interrupts = new SharedInterrupts(vm.Interrupts),
            Doorbells = vm.Doorbells,
            PageDropper = new PageDropper(vm),
            Pio = new PioBus(counters, busLog),
            Mmio = new MmioBus(counters, busLog),
            Control = machine,
            Chars = chars,
            Loggers = loggers,
        };
    }

    private BootEntry LoadGuest(BoardContext context)
    {
        var apicIds = new uint[config.Cpus.Count];
        for (int i = 0; i < apicIds.Length; i++)
            apicIds[i] = (uint)i;
        AcpiTables acpi = AcpiTables.Build(context.DescribeTo(new AcpiConfig
        {
            ApicIds = apicIds,
            HasPci = false,
            HasPic = config.Irqchip == Config.IrqchipMode.Kernel,
            SerialPorts = [.. config.Serials.Where(s => s.Char.Kind != CharKind.None).Select(s => s.Index)],
        }));
        acpi.WriteTo(context.Memory);
        BootConfig boot = config.Boot;
        return KernelLoader.Load(context.Memory, new BootRequest
        {
            KernelPath = boot.KernelPath!,
            InitrdPath = boot.InitrdPath,
            Modules = [.. boot.Modules.Select(m => new Boot.BootModule(m.Path, m.Args.Length > 0 ? m.Args : null))],
            CommandLine = boot.Append,
            Protocol = boot.Protocol switch
            {
                Config.BootProtocol.Linux => Boot.BootProtocol.Linux,
                Config.BootProtocol.Pvh => Boot.BootProtocol.Pvh,
                Config.BootProtocol.Multiboot => Boot.BootProtocol.Multiboot,
                _ => Boot.BootProtocol.Auto,
            },
            RsdpAddress = AcpiTables.RsdpAddress,
        });
    }

    private Vcpu[] CreateVcpus(KvmVm vm, BootEntry entry, BusExitHandler exits)
    {
        kvm_cpuid_entry2[] supported = vm.System.GetSupportedCpuid();
        var events = new VcpuEventRouter(machine);
        var vcpus = new Vcpu[config.Cpus.Count];
        for (int i = 0; i < vcpus.Length; i++)
            vcpus[i] = Own(vm.CreateVcpu(i, new VcpuOptions { Cpuid = HostCpuid(supported, i) }, exits, events));
        kvm_regs regs = default;
        kvm_sregs sregs = vcpus[0].GetSregs();
        BootRegisters.Apply(entry, ref regs, ref sregs);
        vcpus[0].SetInitialState(regs, sregs);
        return vcpus;
    }

    private static CpuidTable HostCpuid(kvm_cpuid_entry2[] supported, int index)
    {
        var entries = (kvm_cpuid_entry2[])supported.Clone();
        foreach (ref kvm_cpuid_entry2 e in entries.AsSpan())
        {
            if (e.function == 1) { e.ebx = (e.ebx & 0xFFFFFF) | ((uint)index << 24); e.ecx |= 1u << 31; }
            if (e.function == 0xb || e.function == 0x1f) e.edx = (uint)index;
        }
        return new CpuidTable(entries);
    }

    private T Own<T>(T part)
        where T : IDisposable
    {
        owned.Push(part);
        return part;
    }
}
