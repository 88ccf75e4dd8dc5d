namespace KvmSharp.Machine.Config;

/// <summary>Which CPUID the guest starts from.</summary>
public enum CpuModel
{
    /// <summary>What KVM supports on this host, with the host's identity.</summary>
    Host,

    /// <summary>Everything KVM can offer, also what the host's CPU itself lacks.</summary>
    Max,
}
