using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Vcpus;

namespace KvmSharp.Bench.Exits;

/// <summary>Keeps the first failure of the benchmark's vCPU; nothing else is expected to happen.</summary>
internal sealed class ExitEvents : IVcpuEvents
{
    private volatile string? _failure;

    /// <summary>What went wrong, or null.</summary>
    public string? Failure => _failure;

    public void OnTripleFault(Vcpu vcpu) => _failure ??= "triple fault";

    public void OnSystemEvent(Vcpu vcpu, uint type, ReadOnlySpan<ulong> data) => _failure ??= "system event";

    public bool OnDebug(Vcpu vcpu, in kvm_debug_exit_arch exit) => true;

    public void OnDirtyRingFull(Vcpu vcpu) => _failure ??= "dirty ring full";

    public void OnFatal(Vcpu vcpu, VcpuFailure failure) => _failure ??= failure.ToString();
}
