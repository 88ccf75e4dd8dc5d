using KvmSharp.Abi.Kvm;
using KvmSharp.Core.Tracing;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

public sealed unsafe partial class Vcpu
{
    /// <summary>After an exit was handled: what the shared page said about it is still there.</summary>
    /// <param name="since">When KVM_RUN returned.</param>
    /// <param name="result">What it returned.</param>
    private void TraceExit(long since, int result)
    {
        kvm_run* run = _run;
        uint reason = result < 0 ? KVM_EXIT_INTR : run->exit_reason;
        TraceName name = ExitReasons.TraceName(reason);
        switch (reason)
        {
            case KVM_EXIT_IO:
                Tracer.PortExit(since, name, run->io.port, run->io.size, run->io.direction == KVM_EXIT_IO_OUT);
                break;
            case KVM_EXIT_MMIO:
                Tracer.MemoryExit(since, name, run->mmio.phys_addr, (int)Math.Min(run->mmio.len, 8), run->mmio.is_write != 0);
                break;
            default:
                Tracer.Exit(since, name);
                break;
        }
    }
}
