using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Tracing;
using KvmSharp.Kvm.Irqchip;

namespace KvmSharp.Kvm.Fabric;

/// <summary>Interrupts of a VM: lines over KVM_IRQ_LINE or the user-space I/O APIC, messages over irqfd and GSI routing. Thread-safe.</summary>
internal sealed class KvmInterruptFabric(FileDescriptor vm, GsiRouting routing, IoApic? ioApic, bool resamples) : IInterruptFabric
{
    private static readonly TraceName s_traceName = TraceName.Of("KVM_SIGNAL_MSI");

    private readonly Lock _gate = new();
    private readonly IIrqLine?[] _lines = new IIrqLine?[GsiRouting.IoApicPins];

    public IIrqLine GetLine(uint gsi)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(gsi, (uint)GsiRouting.IoApicPins);
        lock (_gate)
            return _lines[gsi] ??= ioApic is null ? new KvmIrqLine(vm, gsi) : ioApic.GetLine(gsi);
    }

    public IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(gsi, (uint)GsiRouting.IoApicPins);
        // KVM knows of ends of interrupt at its own I/O APIC only; ours tells nobody.
        return resamples && ioApic is null ? new KvmResampledInput(vm, gsi, trigger, lowered) : null;
    }

    public IMsiVector AllocateMsi() => new KvmMsiVector(vm, routing);

    public unsafe bool SendMsi(ulong address, uint data)
    {
        if (Tracer.IsOn)
            Tracer.Interrupt(s_traceName, address, data);
        kvm_msi message = new() { address_lo = (uint)address, address_hi = (uint)(address >> 32), data = data };
        return KvmIoctl.Try(vm, KvmConstants.KVM_SIGNAL_MSI, (nint)(&message)) > 0;
    }
}
