using KvmSharp.Abi.Kvm;
using KvmSharp.Core;
using KvmSharp.Kvm.Fabric;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Irqchip;

/// <summary>KVM_SIGNAL_MSI for delivery; MSI routes on GSI 0-23 so that the kernel builds its EOI exit bitmaps.</summary>
internal sealed unsafe class KvmIoApicOutput(FileDescriptor vm, GsiRouting routing) : IIoApicOutput
{
    public void Send(ulong address, uint data)
    {
        kvm_msi message = new() { address_lo = (uint)address, address_hi = (uint)(address >> 32), data = data };
        _ = KvmIoctl.Try(vm, KVM_SIGNAL_MSI, (nint)(&message));
    }

    public void SetRoute(uint pin, ulong address, uint data)
    {
        try
        {
            routing.SetMsi(pin, address, data);
        }
        catch (LinuxException)
        {
            // Guest-chosen values the kernel refuses: the input then stays without EOI reports, which is the guest's loss alone.
        }
    }
}
