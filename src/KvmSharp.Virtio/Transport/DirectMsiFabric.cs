using KvmSharp.Core;
using KvmSharp.Core.Fabric;

namespace KvmSharp.Virtio.Transport;

/// <summary>MSI vectors without irqfd: each signal is a system call that carries the message.</summary>
internal sealed class DirectMsiFabric(IInterruptFabric fabric) : IInterruptFabric
{
    public IIrqLine GetLine(uint gsi) => fabric.GetLine(gsi);

    public IDisposable? TryAttachResampled(uint gsi, EventFd trigger, EventFd lowered) => fabric.TryAttachResampled(gsi, trigger, lowered);

    public IMsiVector AllocateMsi() => new DirectMsiVector(fabric);

    public bool SendMsi(ulong address, uint data) => fabric.SendMsi(address, data);
}
