using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Fabric;
using KvmSharp.Kvm.Vcpus;

namespace KvmSharp.Machine;

/// <summary>Turns what happens to vCPUs besides I/O into requests to the machine. Called on vCPU threads; returns at once.</summary>
internal sealed class VcpuEventRouter(Machine machine) : IVcpuEvents
{
    public void OnTripleFault(Vcpu vcpu) => machine.OnTripleFault();

    public void OnSystemEvent(Vcpu vcpu, uint type, ReadOnlySpan<ulong> data) => machine.Request(type switch
    {
        KvmConstants.KVM_SYSTEM_EVENT_SHUTDOWN => MachineRequest.PowerOff,
        KvmConstants.KVM_SYSTEM_EVENT_CRASH => MachineRequest.GuestPanic,
        _ => MachineRequest.Reset,
    });

    /// <summary>No debugger is attached, so a debug exit is nobody's: the guest goes on.</summary>
    public bool OnDebug(Vcpu vcpu, in kvm_debug_exit_arch exit) => true;

    /// <summary>Dirty rings are not in use: nothing harvests them, so a full one is a mistake of ours.</summary>
    public void OnDirtyRingFull(Vcpu vcpu) => machine.Fail($"vCPU {vcpu.Index}: dirty ring full, but dirty logging is off");

    public void OnFatal(Vcpu vcpu, VcpuFailure failure) => machine.Fail(failure.ToString());
}
