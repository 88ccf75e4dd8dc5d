using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Kvm.Fabric;
using KvmSharp.Kvm.Irqchip;
using KvmSharp.Kvm.Vcpus;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm;

/// <summary>
/// One virtual machine of the kernel: its memory slots, interrupt controllers and clock. Control-plane members are for the machine's
/// control thread unless they say otherwise. Dispose vCPUs, devices and vectors first.
/// </summary>
public sealed unsafe partial class KvmVm : IDisposable
{
    private readonly KvmDoorbellFabric _doorbells;
    private KvmInterruptFabric? _interrupts;

    private KvmVm(KvmSystem system, KvmVmOptions options, FileDescriptor file)
    {
        System = system;
        Options = options;
        File = file;
        _doorbells = new KvmDoorbellFabric(file);
        VcpuMappingSize = system.VcpuMappingSize;
        int xsave = Check(KVM_CAP_XSAVE2);
        XsaveSize = Math.Max(xsave, sizeof(kvm_xsave));
        SetUp();
    }

    public KvmSystem System { get; }

    public KvmVmOptions Options { get; }

    /// <summary>The user-space I/O APIC to place at its address; null unless the irqchip is split and there.</summary>
    public IoApic? IoApic { get; private set; }

    /// <summary>Interrupts over KVM_IRQ_LINE, irqfd and GSI routing. Throws <see cref="InvalidOperationException"/> without an irqchip.</summary>
    public IInterruptFabric Interrupts => _interrupts ?? throw new InvalidOperationException("this VM has no interrupt controllers");

    /// <summary>Doorbells over ioeventfd.</summary>
    public IDoorbellFabric Doorbells => _doorbells;

    /// <summary>Bytes of a vCPU's XSAVE image (KVM_CAP_XSAVE2), at least 4096.</summary>
    public int XsaveSize { get; }

    internal FileDescriptor File { get; }

    internal ulong VcpuMappingSize { get; }

    internal GsiRouting? Routing { get; private set; }

    /// <summary>
    /// Creates a VM without interrupt controllers yet. Throws <see cref="KvmUnsupportedException"/> for a missing capability,
    /// <see cref="LinuxException"/> when the host refuses.
    /// </summary>
    public static KvmVm Create(KvmSystem system, KvmVmOptions options)
    {
        system.RequireAll();
        if (options.Irqchip == IrqchipMode.Split)
            system.Require(KvmCapability.All.First(c => c.Number == KVM_CAP_SPLIT_IRQCHIP));
        if (options.WithPit && options.Irqchip == IrqchipMode.Kernel)
            system.Require(KvmCapability.All.First(c => c.Number == KVM_CAP_PIT2));
        if (options.DirtyRingBytes > 0)
            system.Require(KvmCapability.All.First(c => c.Number == KVM_CAP_DIRTY_LOG_RING));
        if (options.UserSpaceMsrs)
            system.Require(KvmCapability.All.First(c => c.Number == KVM_CAP_X86_USER_SPACE_MSR));
        var file = new FileDescriptor(KvmIoctl.Call(system.File, KVM_CREATE_VM, 0UL, "KVM_CREATE_VM"));
        try
        {
            return new KvmVm(system, options, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Makes the interrupt controllers that the options ask for. Once, before <see cref="CreateVcpu"/> and best after <see cref="AddMemory"/>: the kernel's own devices
    /// leave a grace period of SRCU under way, and a new memory slot waits until it is over (Linux 6.18: two ticks of the host, 8 ms at 250 Hz). Throws
    /// <see cref="LinuxException"/>.
    /// </summary>
    public void CreateInterruptControllers()
    {
        switch (Options.Irqchip)
        {
            case IrqchipMode.Kernel:
                KvmIoctl.Call(File, KVM_CREATE_IRQCHIP, 0UL, "KVM_CREATE_IRQCHIP");
                if (Options.WithPit)
                    CreatePit();
                break;
            case IrqchipMode.Split:
                EnableCapability(KVM_CAP_SPLIT_IRQCHIP, GsiRouting.IoApicPins, nameof(KVM_CAP_SPLIT_IRQCHIP));
                break;
            case IrqchipMode.None:
            default:
                return;
        }

        Routing = new GsiRouting(File, Options.Irqchip, Math.Max(System.Check(KVM_CAP_IRQ_ROUTING), 1024));
        if (Options.Irqchip == IrqchipMode.Split)
            IoApic = new IoApic(new KvmIoApicOutput(File, Routing));
        _interrupts = new KvmInterruptFabric(File, Routing, IoApic, System.Check(KVM_CAP_IRQFD_RESAMPLE) > 0);
    }

    /// <summary>KVM_CHECK_EXTENSION on this VM.</summary>
    public int Check(uint capability)
    {
        int value = KvmIoctl.Try(File, KVM_CHECK_EXTENSION, (nint)capability);
        return value < 0 ? 0 : value;
    }

    /// <summary>KVM_ENABLE_CAP. Throws <see cref="LinuxException"/>.</summary>
    public void EnableCapability(uint capability, ulong argument = 0, string? name = null)
    {
        kvm_enable_cap enable = new() { cap = capability };
        enable.args[0] = argument;
        KvmIoctl.Call(File, KVM_ENABLE_CAP, &enable, $"KVM_ENABLE_CAP {name ?? capability.ToString()}");
    }

    /// <summary>
    /// Creates vCPU <paramref name="index"/> (its APIC id too), in its power-on state: index 0 waits for
    /// <see cref="Vcpu.SetInitialState"/>, the others wait for INIT and SIPI in the kernel once started.
    /// </summary>
    public Vcpu CreateVcpu(int index, VcpuOptions options, IVmExitHandler exits, IVcpuEvents events) =>
        Vcpu.Create(this, index, options, exits, events);

    /// <summary>KVM_SIGNAL_MSI: sends one message now. Thread-safe. False if no local APIC took it.</summary>
    public bool SignalMsi(ulong address, uint data)
    {
        kvm_msi message = new() { address_lo = (uint)address, address_hi = (uint)(address >> 32), data = data };
        return KvmIoctl.Try(File, KVM_SIGNAL_MSI, (nint)(&message)) > 0;
    }

    public void Dispose()
    {
        File.Dispose();
    }

    private void SetUp()
    {
        ulong identity = Options.IdentityMapAddress;
        KvmIoctl.Call(File, KVM_SET_IDENTITY_MAP_ADDR, &identity, "KVM_SET_IDENTITY_MAP_ADDR");
        KvmIoctl.Call(File, KVM_SET_TSS_ADDR, Options.TssAddress, "KVM_SET_TSS_ADDR");
        if (Options.DirtyRingBytes > 0)
            EnableCapability(KVM_CAP_DIRTY_LOG_RING, Options.DirtyRingBytes, nameof(KVM_CAP_DIRTY_LOG_RING));
        else if (Check(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) != 0)
            EnableCapability(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, nameof(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
        if (Options.UserSpaceMsrs)
        {
            EnableCapability(KVM_CAP_X86_USER_SPACE_MSR,
                KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER, nameof(KVM_CAP_X86_USER_SPACE_MSR));
        }
    }

    private void CreatePit()
    {
        kvm_pit_config config = new() { flags = KVM_PIT_SPEAKER_DUMMY };
        KvmIoctl.Call(File, KVM_CREATE_PIT2, &config, "KVM_CREATE_PIT2");
    }
}
