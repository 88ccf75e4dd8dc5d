using System.Runtime.Intrinsics.X86;
using System.Text;
using KvmSharp.Abi.Kvm;
using static KvmSharp.Abi.Kvm.KvmConstants;
using static KvmSharp.Kvm.Cpuid.CpuidRegister;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>
/// Makes each processor's CPUID out of what KVM supports: the hypervisor's leaves, identity, features by name, topology and clock rates
/// (Intel SDM 2A CPUID, AMD APM 3 appendix E, kernel virt/kvm/x86/cpuid.rst). Control thread only.
/// </summary>
public sealed class CpuidBuilder
{
    /// <summary>Rate of KVM's emulated APIC bus, in kHz: one tick a nanosecond.</summary>
    private const uint ApicBusKhz = 1_000_000;

    private readonly CpuidOptions _options;
    private readonly CpuidEditor _common;
    private readonly List<string> _warnings = [];

    /// <summary>
    /// Throws <see cref="ArgumentException"/>, one line, for an unknown feature, a vendor that is not 12 printable characters or address
    /// bits out of range.
    /// </summary>
    public CpuidBuilder(KvmSystem system, CpuidOptions options)
        : this(system.GetSupportedCpuid(), options.Max ? system.GetEmulatedCpuid() : [], options)
    {
    }

    internal CpuidBuilder(kvm_cpuid_entry2[] supported, kvm_cpuid_entry2[] emulated, CpuidOptions options)
    {
        _options = options;
        _common = new CpuidEditor(supported);
        AddEmulated(emulated);
        SetHypervisor();
        SetIdentity();
        SetFeatures();
        SetRates();
    }

    /// <summary>Features that were asked for and that KVM cannot offer here; they stay off. One line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>True if the guest sees an Intel processor (also Zhaoxin's), which decides the form of the topology leaves.</summary>
    public bool IsIntel => Vendor(_common) is "GenuineIntel" or "CentaurHauls" or "  Shanghai  ";

    /// <summary>True if the guest sees an AMD processor (also Hygon's).</summary>
    public bool IsAmd => Vendor(_common) is "AuthenticAMD" or "HygonGenuine";

    /// <summary>The table of processor <paramref name="index"/>.</summary>
    public CpuidTable Build(int index)
    {
        var editor = new CpuidEditor(_common.Entries);
        CpuidTopologyLeaves.Apply(editor, _options.Topology, index, IsIntel, IsAmd);
        return editor.ToTable();
    }

    private void AddEmulated(kvm_cpuid_entry2[] emulated)
    {
        foreach (kvm_cpuid_entry2 e in emulated)
        {
            if (e.function is not (1 or 7 or 0x8000_0001))
                continue;
            foreach (CpuidRegister register in (ReadOnlySpan<CpuidRegister>)[Ebx, Ecx, Edx])
            {
                if (register == Ebx && e.function != 7)
                    continue;
                uint bits = register == Ebx ? e.ebx : register == Ecx ? e.ecx : e.edx;
                _common.Set(e.function, e.index, register, _common.Get(e.function, e.index, register) | bits);
            }
        }
    }

    private void SetHypervisor()
    {
        _common.SetBit(1, 0, Ecx, 31, true);

        // OSXSAVE and the APIC enable bit follow the guest's own state; the kernel keeps them.
        _common.SetBit(1, 0, Ecx, 27, false);
        _common.SetBit(1, 0, Ecx, 24, _options.HasTscDeadlineTimer);
        if (!_options.HasLocalApic)
        {
            _common.SetBit(1, 0, Ecx, 21, false);
            _common.SetBit(1, 0, Ecx, 24, false);
            foreach (int bit in (ReadOnlySpan<int>)[4, 6, 7, 10, 11, 14])
                _common.SetBit(KVM_CPUID_FEATURES, 0, Eax, bit, false);
        }

        // The message format for APIC ids above 255 needs an agreement with the interrupt routes that is not made here.
        _common.SetBit(KVM_CPUID_FEATURES, 0, Eax, (int)KVM_FEATURE_MSI_EXT_DEST_ID, false);
        if (_common.Has(KVM_CPUID_SIGNATURE) && _common.Get(KVM_CPUID_SIGNATURE, 0, Eax) < KVM_CPUID_FEATURES)
            _common.Set(KVM_CPUID_SIGNATURE, 0, Eax, KVM_CPUID_FEATURES);
    }

    private void SetIdentity()
    {
        if (_options.Vendor is { } vendor)
        {
            if (vendor.Length != 12 || vendor.Any(c => c is < ' ' or > '~'))
                throw new ArgumentException($"CPU vendor '{vendor}' is not exactly 12 printable ASCII characters");
            byte[] bytes = Encoding.ASCII.GetBytes(vendor);
            foreach (uint leaf in (ReadOnlySpan<uint>)[0, 0x8000_0000])
            {
                _common.Set(leaf, 0, Ebx, BitConverter.ToUInt32(bytes, 0));
                _common.Set(leaf, 0, Edx, BitConverter.ToUInt32(bytes, 4));
                _common.Set(leaf, 0, Ecx, BitConverter.ToUInt32(bytes, 8));
            }
        }

        if (_options.PhysBits is { } bits)
        {
            if (bits is < 32 or > 52)
                throw new ArgumentException($"{bits} physical address bits: 32 to 52 are possible");
            _common.SetField(0x8000_0008, 0, Eax, 0, 8, (uint)bits);
        }

        // Some KVMs leave the brand string to user space.
        if (_common.Get(0x8000_0002, 0, Eax) == 0 && X86Base.IsSupported && (uint)X86Base.CpuId(unchecked((int)0x8000_0000), 0).Eax >= 0x8000_0004)
        {
            for (uint leaf = 0x8000_0002; leaf <= 0x8000_0004; leaf++)
            {
                (int a, int b, int c, int d) = X86Base.CpuId((int)leaf, 0);
                _common.SetLeaf(leaf, 0, (uint)a, (uint)b, (uint)c, (uint)d);
            }
        }
    }

    private void SetFeatures()
    {
        var offers = new CpuidEditor(_common.Entries);
        // Each is judged against what KVM offers, not against an earlier word of the list: the last word of a name wins.
        foreach ((string name, bool enabled) in _options.Features)
        {
            if (!CpuFeatureTable.TryFind(name, out uint function, out uint index, out CpuidRegister register, out int bit))
                throw new ArgumentException($"unknown CPU feature '{name}'; the names are those of /proc/cpuinfo");
            bool offered = ((offers.Get(function, index, register) >> bit) & 1) != 0;
            if (offered)
                _common.SetBit(function, index, register, bit, enabled);
            else if (enabled)
                _warnings.Add($"CPU feature '{name}' is not offered by KVM on this host; it stays off");
        }
    }

    /// <summary>Clock rates in leaves, so that no guest has to measure them against a PIT.</summary>
    private void SetRates()
    {
        uint khz = _options.TscKhz;
        if (khz == 0)
            return;
        if (_common.Has(KVM_CPUID_SIGNATURE))
        {
            _common.SetLeaf(KVM_CPUID_TIMING, 0, khz, ApicBusKhz, 0, 0);
            _common.Set(KVM_CPUID_SIGNATURE, 0, Eax, KVM_CPUID_TIMING);
        }

        if (!IsIntel)
            return;

        // TSC = crystal × EBX / EAX. Linux takes the crystal for the APIC timer's clock too, so it has to be KVM's APIC bus rate.
        _common.SetLeaf(0x15, 0, ApicBusKhz, khz, ApicBusKhz * 1000, 0);
        _common.SetLeaf(0x16, 0, khz / 1000, khz / 1000, 100, 0);
        if (_common.Get(0, 0, Eax) < 0x16)
            _common.Set(0, 0, Eax, 0x16);
    }

    private static string Vendor(CpuidEditor editor)
    {
        byte[] text = new byte[12];
        BitConverter.TryWriteBytes(text.AsSpan(0), editor.Get(0, 0, Ebx));
        BitConverter.TryWriteBytes(text.AsSpan(4), editor.Get(0, 0, Edx));
        BitConverter.TryWriteBytes(text.AsSpan(8), editor.Get(0, 0, Ecx));
        return Encoding.ASCII.GetString(text);
    }
}
