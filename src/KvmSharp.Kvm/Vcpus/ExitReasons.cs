using KvmSharp.Core.Tracing;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>The kernel's names of KVM_EXIT_* on x86, for messages and statistics.</summary>
public static class ExitReasons
{
    private static readonly string?[] Names =
    [
        "UNKNOWN", "EXCEPTION", "IO", "HYPERCALL", "DEBUG", "HLT", "MMIO", "IRQ_WINDOW_OPEN", "SHUTDOWN", "FAIL_ENTRY", "INTR",
        "SET_TPR", "TPR_ACCESS", null, null, null, "NMI", "INTERNAL_ERROR", null, null, null, "WATCHDOG", null, "EPR", "SYSTEM_EVENT",
        null, "IOAPIC_EOI", "HYPERV", null, "X86_RDMSR", "X86_WRMSR", "DIRTY_RING_FULL", "AP_RESET_HOLD", "X86_BUS_LOCK", "XEN",
        null, null, "NOTIFY", null, "MEMORY_FAULT", "TDX",
    ];

    private static readonly TraceName[] s_traceNames = [.. Enumerable.Range(0, Names.Length).Select(reason => Core.Tracing.TraceName.Of(Name((uint)reason)))];
    private static readonly TraceName s_otherTraceName = Core.Tracing.TraceName.Of("other exit");

    /// <summary>"KVM_EXIT_IO" and so on; "exit reason N" for what has no name here.</summary>
    public static string Name(uint reason) =>
        reason < (uint)Names.Length && Names[reason] is { } name ? $"KVM_EXIT_{name}" : $"exit reason {reason}";

    /// <summary>The same for a trace.</summary>
    public static TraceName TraceName(uint reason) => reason < (uint)s_traceNames.Length ? s_traceNames[reason] : s_otherTraceName;
}
