using KvmSharp.Kvm.Cpuid;

namespace KvmSharp.Kvm.Vcpus;

/// <summary>What a vCPU is created with.</summary>
public sealed record VcpuOptions
{
    /// <summary>The guest's CPUID; null leaves KVM's empty table, which only bare payloads can live with.</summary>
    public CpuidTable? Cpuid { get; init; }

    /// <summary>Its APIC id (<see cref="CpuTopology.ApicId"/>); null: the same as its index.</summary>
    public uint? ApicId { get; init; }

    /// <summary>MSRs of user space (<see cref="KvmVmOptions.UserSpaceMsrs"/>); null: such accesses fault in the guest.</summary>
    public IMsrHandler? Msrs { get; init; }
}
