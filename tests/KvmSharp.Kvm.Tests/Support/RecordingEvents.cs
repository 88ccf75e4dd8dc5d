using System.Collections.Concurrent;
using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Vcpus;

namespace KvmSharp.Kvm.Tests.Support;

/// <summary>Takes a vCPU's events and lets the test wait for each.</summary>
internal sealed class RecordingEvents : IVcpuEvents
{
    internal BlockingCollection<string> Log { get; } = [];

    internal VcpuFailure? Failure { get; private set; }

    internal ulong[] SystemEventData { get; private set; } = [];

    internal kvm_debug_exit_arch Debug { get; private set; }

    internal bool ContinueAfterDebug { get; set; }

    internal Action<Vcpu>? DirtyRingFull { get; set; }

    public void OnTripleFault(Vcpu vcpu) => Log.Add("triple-fault");

    public void OnSystemEvent(Vcpu vcpu, uint type, ReadOnlySpan<ulong> data)
    {
        SystemEventData = data.ToArray();
        Log.Add($"system-event {type}");
    }

    public bool OnDebug(Vcpu vcpu, in kvm_debug_exit_arch exit)
    {
        Debug = exit;
        Log.Add($"debug 0x{exit.pc:x}");
        return ContinueAfterDebug;
    }

    public void OnDirtyRingFull(Vcpu vcpu)
    {
        DirtyRingFull?.Invoke(vcpu);
        Log.Add("dirty-ring-full");
    }

    public void OnFatal(Vcpu vcpu, VcpuFailure failure)
    {
        Failure = failure;
        Log.Add("fatal");
    }

    internal string Next()
    {
        Assert.True(Log.TryTake(out string? entry, TimeSpan.FromSeconds(20)), "no event came");
        return entry!;
    }
}
