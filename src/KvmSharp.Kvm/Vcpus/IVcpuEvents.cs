using KvmSharp.Abi.Kvm;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>
/// What happens to a vCPU besides I/O. Called on its thread, which must not be made to wait for whoever calls
/// <see cref="Vcpu.Pause"/> or <see cref="Vcpu.Stop"/>: hand the event to the control thread and return.
/// </summary>
public interface IVcpuEvents
{
    /// <summary>Triple fault (KVM_EXIT_SHUTDOWN). The vCPU pauses itself afterwards.</summary>
    void OnTripleFault(Vcpu vcpu);

    /// <summary>KVM_EXIT_SYSTEM_EVENT. The vCPU pauses itself afterwards.</summary>
    /// <param name="type">KVM_SYSTEM_EVENT_*.</param>
    /// <param name="data">The event's own words; valid during the call.</param>
    void OnSystemEvent(Vcpu vcpu, uint type, ReadOnlySpan<ulong> data);

    /// <summary>Breakpoint or single step. True: go on at once; false: the vCPU pauses itself.</summary>
    bool OnDebug(Vcpu vcpu, in kvm_debug_exit_arch exit);

    /// <summary>The vCPU's dirty ring is full: harvest it and reset the rings, or the vCPU comes straight back.</summary>
    void OnDirtyRingFull(Vcpu vcpu);

    /// <summary>The vCPU cannot go on, by the guest's or the host's doing. It pauses itself afterwards.</summary>
    void OnFatal(Vcpu vcpu, VcpuFailure failure);
}
