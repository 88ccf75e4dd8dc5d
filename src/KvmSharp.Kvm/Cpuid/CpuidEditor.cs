using KvmSharp.Abi.Kvm;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>A CPUID table under construction.</summary>
internal sealed class CpuidEditor(IEnumerable<kvm_cpuid_entry2> entries)
{
    private readonly List<kvm_cpuid_entry2> _entries = [.. entries];

    internal IReadOnlyList<kvm_cpuid_entry2> Entries => _entries;

    internal bool Has(uint function, uint index = 0) => Position(function, index) >= 0;

    internal uint Get(uint function, uint index, CpuidRegister register)
    {
        int position = Position(function, index);
        if (position < 0)
            return 0;
        kvm_cpuid_entry2 e = _entries[position];
        return register switch
        {
            CpuidRegister.Eax => e.eax,
            CpuidRegister.Ebx => e.ebx,
            CpuidRegister.Ecx => e.ecx,
            _ => e.edx,
        };
    }

    /// <summary>Changes one register of a leaf, which is added if it is not there.</summary>
    internal void Set(uint function, uint index, CpuidRegister register, uint value)
    {
        int position = Position(function, index);
        if (position < 0)
        {
            position = _entries.Count;
            _entries.Add(new kvm_cpuid_entry2 { function = function, index = index, flags = index != 0 || function is 4 or 7 or 0xB or 0xD or 0x1F or 0x8000_001D ? KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0 });
        }

        kvm_cpuid_entry2 e = _entries[position];
        switch (register)
        {
            case CpuidRegister.Eax:
                e.eax = value;
                break;
            case CpuidRegister.Ebx:
                e.ebx = value;
                break;
            case CpuidRegister.Ecx:
                e.ecx = value;
                break;
            default:
                e.edx = value;
                break;
        }

        _entries[position] = e;
    }

    /// <summary>Replaces bits <paramref name="low"/> to <paramref name="low"/>+<paramref name="width"/>-1.</summary>
    internal void SetField(uint function, uint index, CpuidRegister register, int low, int width, uint value)
    {
        uint mask = (uint)(((1UL << width) - 1) << low);
        Set(function, index, register, (Get(function, index, register) & ~mask) | ((value << low) & mask));
    }

    internal void SetBit(uint function, uint index, CpuidRegister register, int bit, bool value) =>
        SetField(function, index, register, bit, 1, value ? 1u : 0u);

    internal void SetLeaf(uint function, uint index, uint eax, uint ebx, uint ecx, uint edx, bool indexed = false)
    {
        _entries.RemoveAll(e => e.function == function && e.index == index);
        _entries.Add(new kvm_cpuid_entry2
        {
            function = function,
            index = index,
            flags = indexed ? KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            eax = eax,
            ebx = ebx,
            ecx = ecx,
            edx = edx,
        });
    }

    internal void Remove(uint function) => _entries.RemoveAll(e => e.function == function);

    internal CpuidTable ToTable() => new([.. _entries.OrderBy(e => e.function).ThenBy(e => e.index)]);

    private int Position(uint function, uint index) => _entries.FindIndex(e => e.function == function && e.index == index);
}
