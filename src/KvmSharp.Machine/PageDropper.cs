using KvmSharp.Core.Memory;
using KvmSharp.Devices.Test;
using KvmSharp.Kvm;

namespace KvmSharp.Machine;

/// <summary>Gives the test device its way to make KVM forget a guest page.</summary>
internal sealed class PageDropper(KvmVm vm) : IGuestPageDropper
{
    public void Drop(GuestAddress address) => vm.DropPage(address);
}
