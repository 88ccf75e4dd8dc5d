using KvmSharp.Abi.Kvm;
using static KvmSharp.Abi.Kvm.KvmConstants;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>One line about an exit that ends a vCPU. Off the hot path.</summary>
internal static unsafe class ExitDescription
{
    internal static string Of(kvm_run* run)
    {
        string name = ExitReasons.Name(run->exit_reason);
        switch (run->exit_reason)
        {
            case KVM_EXIT_UNKNOWN:
                return $"{name}, hardware exit reason 0x{run->hw.hardware_exit_reason:x}";
            case KVM_EXIT_EXCEPTION:
                return $"{name}, vector {run->ex.exception}, error code 0x{run->ex.error_code:x}";
            case KVM_EXIT_FAIL_ENTRY:
                return $"{name}, hardware entry failure reason 0x{run->fail_entry.hardware_entry_failure_reason:x} on host CPU {run->fail_entry.cpu}";
            case KVM_EXIT_MEMORY_FAULT:
                return $"{name}, guest physical 0x{run->memory_fault.gpa:x}, {run->memory_fault.size} bytes, flags 0x{run->memory_fault.flags:x}";
            case KVM_EXIT_TPR_ACCESS:
                return $"{name} at 0x{run->tpr_access.rip:x}";
            case KVM_EXIT_INTERNAL_ERROR:
                return InternalError(run);
            default:
                return name;
        }
    }

    private static string InternalError(kvm_run* run)
    {
        uint suberror = run->@internal.suberror;
        if (suberror != KVM_INTERNAL_ERROR_EMULATION)
        {
            string kind = suberror switch
            {
                KVM_INTERNAL_ERROR_SIMUL_EX => "simultaneous exceptions",
                KVM_INTERNAL_ERROR_DELIVERY_EV => "exit while delivering an event",
                KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => "unexpected hardware exit",
                _ => $"suberror {suberror}",
            };
            int count = (int)Math.Min(run->@internal.ndata, 16);
            return $"KVM_EXIT_INTERNAL_ERROR, {kind}, data [{string.Join(" ", new ReadOnlySpan<ulong>(run->@internal.data, count).ToArray().Select(d => $"{d:x}"))}]";
        }

        string bytes = "";
        bool valid = run->emulation_failure.ndata >= 3 && (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
        if (valid)
        {
            int size = Math.Min(run->emulation_failure.insn_size, (byte)15);
            bytes = $", instruction bytes {Convert.ToHexString(new ReadOnlySpan<byte>(run->emulation_failure.insn_bytes, size))}";
        }

        return $"KVM_EXIT_INTERNAL_ERROR, the kernel could not emulate an instruction{bytes}";
    }
}
