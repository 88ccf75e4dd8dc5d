using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Cli;

/// <summary>The KVM device cannot be opened; says why and what to do.</summary>
internal sealed class KvmDeviceException(string device, LinuxException cause)
    : Exception($"cannot open {device}: {Marshal.GetPInvokeErrorMessage(cause.Errno)}", cause)
{
    public string Hint => cause.Errno is LibcConstants.EACCES or LibcConstants.EPERM
        ? "add yourself to the device's group: sudo usermod -aG kvm $USER, then log in again"
        : cause.Errno is LibcConstants.EMFILE ? "raise the limit of open files (ulimit -n)"
        : "load the module (modprobe kvm_intel or kvm_amd) or turn virtualization on in the firmware; kvmsharp check says more";
}
