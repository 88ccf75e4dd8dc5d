using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>
/// One virtual processor: its descriptor, its shared page and, once started, its thread "vcpu N". <see cref="Start"/>,
/// <see cref="Pause"/>, <see cref="Resume"/>, <see cref="Stop"/> and <see cref="RunOnVcpu"/> may be called from any thread at any moment;
/// register access needs the vCPU not running (or its own thread) and throws <see cref="InvalidOperationException"/> otherwise.
/// </summary>
public sealed unsafe partial class Vcpu : IDisposable
{
    private readonly KvmVm _vm;
    private readonly FileDescriptor _file;
    private readonly MappedRegion _page;
    private readonly kvm_run* _run;
    private readonly IVmExitHandler _exits;
    private readonly IVcpuEvents _events;
    private readonly IMsrHandler? _msrs;
    private readonly DirtyRing? _ring;

    private Vcpu(KvmVm vm, int index, VcpuOptions options, FileDescriptor file, MappedRegion page, IVmExitHandler exits, IVcpuEvents events)
    {
        _vm = vm;
        Index = index;
        ApicId = options.ApicId ?? (uint)index;
        _file = file;
        _page = page;
        _run = (kvm_run*)page.Pointer;
        _exits = exits;
        _events = events;
        _msrs = options.Msrs;
        _ring = vm.Options.DirtyRingBytes > 0 ? new DirtyRing(file, vm.Options.DirtyRingBytes) : null;
    }

    /// <summary>Its number: 0 is the boot processor.</summary>
    public int Index { get; }

    /// <summary>Its APIC id, which is KVM's number for it.</summary>
    public uint ApicId { get; }

    /// <summary>The VM it belongs to.</summary>
    public KvmVm Vm => _vm;

    /// <summary>Exits so far, by reason.</summary>
    public ExitCounters Exits { get; } = new();

    /// <summary>Kernel thread id of its thread; 0 before the start and after the end.</summary>
    public int ThreadId => Volatile.Read(ref _tid);

    /// <summary>Its dirty ring; null unless <see cref="KvmVmOptions.DirtyRingBytes"/> asked for rings.</summary>
    public DirtyRing? DirtyRing => _ring;

    internal kvm_run* RunPage => _run;

    internal static Vcpu Create(KvmVm vm, int index, VcpuOptions options, IVmExitHandler exits, IVcpuEvents events)
    {
        KickSignal.EnsureInstalled();
        var file = new FileDescriptor(KvmIoctl.Call(vm.File, KVM_CREATE_VCPU, options.ApicId ?? (ulong)index, $"KVM_CREATE_VCPU {index}"));
        Vcpu? vcpu = null;
        try
        {
            vcpu = new Vcpu(vm, index, options, file, MappedRegion.MapShared(file, vm.VcpuMappingSize), exits, events);
            if (options.Cpuid is { } cpuid)
                vcpu.SetCpuid(cpuid);
            return vcpu;
        }
        catch
        {
            vcpu?._page.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <summary>Stops the thread, then releases the processor. Not from its own thread.</summary>
    public void Dispose()
    {
        Stop();
        _ring?.Dispose();
        _page.Dispose();
        _file.Dispose();
    }
}
