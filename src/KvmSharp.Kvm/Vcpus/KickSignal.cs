using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>The signal that takes a vCPU thread out of KVM_RUN: its handler is native and does nothing.</summary>
internal static class KickSignal
{
    /// <summary>Installs the handler; idempotent. Throws <see cref="LinuxException"/>.</summary>
    internal static void EnsureInstalled()
    {
        int signal = NativeShims.kvmsharp_kick_init();
        if (signal < 0)
            throw new LinuxException("install the vCPU kick signal", -signal);
    }
}
