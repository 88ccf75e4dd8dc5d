using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Fabric;

/// <summary>A resampling irqfd on an input of the kernel's interrupt controllers (linux/kvm.h KVM_IRQFD_FLAG_RESAMPLE), until disposed.</summary>
internal sealed unsafe class KvmResampledInput : IDisposable
{
    private readonly FileDescriptor _vm;
    private readonly EventFd _trigger;
    private readonly uint _gsi;
    private int _disposed;

    internal KvmResampledInput(FileDescriptor vm, uint gsi, EventFd trigger, EventFd lowered)
    {
        _vm = vm;
        _gsi = gsi;
        _trigger = trigger;
        kvm_irqfd irqfd = new() { fd = (uint)trigger.Value, gsi = gsi, flags = KVM_IRQFD_FLAG_RESAMPLE, resamplefd = (uint)lowered.Value };
        KvmIoctl.Call(vm, KVM_IRQFD, &irqfd, "KVM_IRQFD");
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        kvm_irqfd irqfd = new() { fd = (uint)_trigger.Value, gsi = _gsi, flags = KVM_IRQFD_FLAG_DEASSIGN };
        _ = KvmIoctl.Try(_vm, KVM_IRQFD, (nint)(&irqfd));
    }
}
