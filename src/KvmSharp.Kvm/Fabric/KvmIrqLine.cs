using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using KvmSharp.Core.Tracing;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Fabric;

/// <summary>An input of the kernel's interrupt controllers (KVM_IRQ_LINE). A system call only when the level changes.</summary>
internal sealed unsafe class KvmIrqLine(FileDescriptor vm, uint gsi) : IIrqLine
{
    private static readonly TraceName s_traceName = TraceName.Of("KVM_IRQ_LINE");

    private readonly Lock _gate = new();
    private bool _asserted;

    public uint Gsi => gsi;

    public void SetLevel(bool asserted)
    {
        // The lock keeps the kernel's order of levels the same as ours.
        lock (_gate)
        {
            if (_asserted == asserted)
                return;
            _asserted = asserted;
            if (Tracer.IsOn)
                Tracer.Interrupt(s_traceName, gsi, asserted ? 1u : 0u);
            kvm_irq_level level = new() { irq = gsi, level = asserted ? 1u : 0u };
            _ = KvmIoctl.Try(vm, KVM_IRQ_LINE, (nint)(&level));
        }
    }
}
