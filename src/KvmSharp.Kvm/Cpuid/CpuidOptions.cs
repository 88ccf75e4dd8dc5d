namespace KvmSharp.Kvm.Cpuid;

/// <summary>What the guest's processors look like.</summary>
public sealed record CpuidOptions
{
    /// <summary>Also offer what KVM emulates although the host's CPU lacks it (KVM_GET_EMULATED_CPUID).</summary>
    public bool Max { get; init; }

    /// <summary>Features switched on or off over the model, by their names in /proc/cpuinfo; the last of a name wins.</summary>
    public IReadOnlyList<(string Name, bool Enabled)> Features { get; init; } = [];

    /// <summary>CPUID vendor, exactly 12 characters; null: the host's.</summary>
    public string? Vendor { get; init; }

    /// <summary>Guest physical address bits, 32 to 52; null: the host's.</summary>
    public int? PhysBits { get; init; }

    /// <summary>How the processors are arranged.</summary>
    public CpuTopology Topology { get; init; } = new(1, 1, 1);

    /// <summary>Rate of the guest's TSC in kHz (<see cref="KvmVm.GetTscKhz"/>); 0: unknown, the guest calibrates.</summary>
    public uint TscKhz { get; init; }

    /// <summary>False where there is no local APIC in the kernel: then no x2APIC, no TSC deadline timer, no paravirtual interrupts.</summary>
    public bool HasLocalApic { get; init; } = true;

    /// <summary>
    /// True where the kernel emulates the TSC deadline timer (KVM_CAP_TSC_DEADLINE_TIMER), which KVM_GET_SUPPORTED_CPUID does not tell: the
    /// guest then arms its timer in TSC ticks, and need not find out how fast the APIC counts.
    /// </summary>
    public bool HasTscDeadlineTimer { get; init; }
}
