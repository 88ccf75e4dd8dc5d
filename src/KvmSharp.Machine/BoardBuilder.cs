using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Kvm;
using KvmSharp.Kvm.Cpuid;
using KvmSharp.Kvm.Vcpus;
using KvmSharp.Machine.Acpi;
using KvmSharp.Machine.Boot;
using KvmSharp.Machine.Boot.Unpacked;
using KvmSharp.Machine.Config;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine;

/// <summary>
/// Builds a board: the VM and its memory, devices through <see cref="DeviceCatalog"/>, firmware tables, kernel, vCPUs. Whatever is
/// made goes onto the stack of owned parts at once.
/// </summary>
internal sealed class BoardBuilder(MachineConfig config, ILoggerFactory loggers, CharPorts chars, HostEnds hostEnds, Machine machine, Stack<IDisposable> owned)
{
    private const ulong IoApicLength = 0x1000;
    private const uint AddressSizeLeaf = 0x8000_0008;
    private const int DefaultPhysicalAddressBits = 36; // what a processor without the leaf has (SDM vol. 2, CPUID)

    private readonly CpuTopology _topology = new(config.Cpus.Sockets, config.Cpus.Cores, config.Cpus.Threads);

    public Board Build()
    {
        KvmSystem system = hostEnds.Kvm(config.KvmDevice);
        if (config.Cpus.Count > system.MaxVcpus)
            throw new ConfigException($"{config.Cpus.Count} cpus are more than this host's KVM allows", $"use at most {system.MaxVcpus}");
        // First, as it takes longest.
        GuestMemoryOptions options = config.Memory.ToOptions();
        GuestMemory memory = Own(GuestMemory.Create(options with { File = hostEnds.MemoryFile(options) }));
        var load = Own(new GuestLoad(memory, MakeBootRequest()));

        KvmVm vm = Own(KvmVm.Create(system, VmOptions()));
        CpuidBuilder cpuid = MakeCpuid(vm);
        int addressBits = AddressBits(cpuid);
        CheckMemoryFits(addressBits);
        vm.AddMemory(memory);
        vm.CreateInterruptControllers();

        var counters = new DeviceExitCounters(config.Cpus.Count);
        BoardContext context = MakeContext(memory, vm, counters, addressBits);
        if (vm.IoApic is { } ioApic)
            Own(context.Mmio.Register(MachineLayout.IoApicAddress, IoApicLength, ioApic, "ioapic"));
        DeviceCatalog.AttachAll(context);

        AcpiTables.Build(context.Acpi).WriteTo(memory);
        Vcpu[] vcpus = MakeVcpus(vm, cpuid, new BusExitHandler(context.Pio, context.Mmio, counters));
        SetEntry(vcpus[0], load.Finish());
        return new Board(owned, vcpus, context.Virtio.Transports, context.PowerManagement, counters);
    }

    private CpuidBuilder MakeCpuid(KvmVm vm)
    {
        var options = new CpuidOptions
        {
            Max = config.Cpus.Model == CpuModel.Max,
            Features = [.. config.Cpus.Features.Select(f => (f.Name, f.Enabled))],
            Vendor = config.Cpus.Vendor,
            PhysBits = config.Cpus.PhysBits,
            Topology = _topology,
            TscKhz = vm.GetTscKhz(),
            HasTscDeadlineTimer = vm.System.Check(KvmConstants.KVM_CAP_TSC_DEADLINE_TIMER) > 0,
        };
        CpuidBuilder cpuid;
        try
        {
            cpuid = new CpuidBuilder(vm.System, options);
        }
        catch (ArgumentException e)
        {
            throw new ConfigException(e.Message, "see --cpu in the help");
        }

        if (cpuid.Warnings.Count > 0)
        {
            ILogger log = loggers.CreateLogger("cpu");
            foreach (string warning in cpuid.Warnings)
                log.LogWarning("{Warning}", warning);
        }

        return cpuid;
    }

    private static int AddressBits(CpuidBuilder cpuid) =>
        cpuid.Build(0).Find(AddressSizeLeaf) is { } leaf && (leaf.eax & 0xFF) != 0 ? (int)(leaf.eax & 0xFF) : DefaultPhysicalAddressBits;

    private void CheckMemoryFits(int addressBits)
    {
        ulong size = config.Memory.SizeBytes;
        ulong end = size <= GuestMemory.LowLimit ? size : GuestMemory.HighStart + (size - GuestMemory.LowLimit);
        if (end > 1UL << addressBits)
            throw new ConfigException($"memory of {SizeText.Format(size)} does not fit the guest's {addressBits}-bit physical addresses", "use less memory, or raise phys-bits in --cpu");
    }

    private KvmVmOptions VmOptions() => new()
    {
        Irqchip = config.Irqchip == Config.IrqchipMode.Split ? Kvm.IrqchipMode.Split : Kvm.IrqchipMode.Kernel,
        TssAddress = MachineLayout.TssAddress,
        IdentityMapAddress = MachineLayout.IdentityMapAddress,
    };

    private BoardContext MakeContext(GuestMemory memory, KvmVm vm, DeviceExitCounters counters, int addressBits)
    {
        ILogger busLog = loggers.CreateLogger("bus");
        var apicIds = new uint[config.Cpus.Count];
        for (int i = 0; i < apicIds.Length; i++)
            apicIds[i] = _topology.ApicId(i);
        return new BoardContext(owned)
        {
            Config = config,
            Memory = memory,
            PhysicalAddressBits = addressBits,
            Interrupts = new SharedInterrupts(vm.Interrupts),
            Doorbells = vm.Doorbells,
            PageDropper = new PageDropper(vm),
            Pio = new PioBus(counters, busLog),
            Mmio = new MmioBus(counters, busLog),
            Control = machine,
            Fail = machine.Fail,
            Chars = chars,
            HostEnds = hostEnds,
            Loggers = loggers,
            Acpi = new AcpiConfig { ApicIds = apicIds, HasPic = config.Irqchip == Config.IrqchipMode.Kernel, SerialPorts = [] },
        };
    }

    private BootRequest MakeBootRequest()
    {
        BootConfig boot = config.Boot;
        return new BootRequest
        {
            KernelPath = boot.KernelPath!,
            InitrdPath = boot.InitrdPath,
            Modules = boot.Modules,
            CommandLine = boot.Append,
            Protocol = boot.Protocol,
            Files = hostEnds.BootFiles,
            RsdpAddress = AcpiTables.RsdpAddress,
            KernelCache = boot.NoKernelCache ? null : KernelCache.ForUser(loggers.CreateLogger("boot")),
        };
    }

    private Vcpu[] MakeVcpus(KvmVm vm, CpuidBuilder cpuid, BusExitHandler exits)
    {
        var events = new VcpuEventRouter(machine);
        var vcpus = new Vcpu[config.Cpus.Count];
        for (int i = 0; i < vcpus.Length; i++)
        {
            var options = new VcpuOptions { Cpuid = cpuid.Build(i), ApicId = _topology.ApicId(i) };
            vcpus[i] = Own(vm.CreateVcpu(i, options, exits, events));
        }

        return vcpus;
    }

    private static void SetEntry(Vcpu first, BootEntry entry)
    {
        kvm_regs regs = default;
        kvm_sregs sregs = first.GetSregs();
        BootRegisters.Apply(entry, ref regs, ref sregs);
        first.SetInitialState(regs, sregs);
    }

    private T Own<T>(T part)
        where T : IDisposable
    {
        owned.Push(part);
        return part;
    }
}
