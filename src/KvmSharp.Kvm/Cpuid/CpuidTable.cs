using KvmSharp.Abi.Kvm;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>One processor's CPUID leaves, as KVM_SET_CPUID2 takes them. Immutable.</summary>
public sealed class CpuidTable(kvm_cpuid_entry2[] entries)
{
    private readonly kvm_cpuid_entry2[] _entries = entries;

    /// <summary>All leaves, ordered by function and index.</summary>
    public ReadOnlySpan<kvm_cpuid_entry2> Entries => _entries;

    /// <summary>The leaf with this function and, where it has sub-leaves, index; null if the table has none.</summary>
    public kvm_cpuid_entry2? Find(uint function, uint index = 0)
    {
        foreach (ref readonly kvm_cpuid_entry2 entry in Entries)
        {
            if (entry.function == function && (entry.index == index || (entry.flags & KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0))
                return entry;
        }

        return null;
    }
}
