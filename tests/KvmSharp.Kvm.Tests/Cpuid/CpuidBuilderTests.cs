using KvmSharp.Abi.Kvm;
using KvmSharp.Kvm.Cpuid;
using static KvmSharp.Kvm.Cpuid.CpuidRegister;

namespace KvmSharp.Kvm.Tests.Cpuid;

public sealed class CpuidBuilderTests
{
    private static readonly CpuTopology TwoByThreeByTwo = new(2, 3, 2);

    [Fact]
    public void ApicId_CountsNotPowersOfTwo_LeavesGaps()
    {
        Assert.Equal([0u, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13], Enumerable.Range(0, 12).Select(TwoByThreeByTwo.ApicId));
    }

    [Fact]
    public void Build_HypervisorBit_IsSet()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions()).Build(0);

        Assert.NotEqual(0u, table.Find(1)!.Value.ecx & (1u << 31));
    }

    [Fact]
    public void Build_Amd_DescribesTopologyInItsLeaves()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { Topology = TwoByThreeByTwo }).Build(9);

        Assert.Equal(11u, table.Find(1)!.Value.ebx >> 24);
        Assert.Equal(0x3005u, table.Find(0x8000_0008)!.Value.ecx & 0xF0FF);
        kvm_cpuid_entry2 node = table.Find(0x8000_001E)!.Value;
        Assert.Equal((11u, 0x0101u, 1u), (node.eax, node.ebx, node.ecx));
        Assert.NotEqual(0u, table.Find(0x8000_0001)!.Value.ecx & (1u << 22));
        Assert.Equal(1u, (table.Find(0x8000_001D, 0)!.Value.eax >> 14) & 0xFFF);
        Assert.Equal(7u, (table.Find(0x8000_001D, 1)!.Value.eax >> 14) & 0xFFF);
    }

    [Fact]
    public void Build_Intel_DescribesTopologyInItsLeaves()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { Topology = TwoByThreeByTwo, Vendor = "GenuineIntel" }).Build(6);

        kvm_cpuid_entry2 threads = table.Find(0xB, 0)!.Value, cores = table.Find(0xB, 1)!.Value;
        Assert.Equal((1u, 2u, 0x100u, 8u), (threads.eax, threads.ebx, threads.ecx, threads.edx));
        Assert.Equal((3u, 6u, 0x201u, 8u), (cores.eax, cores.ebx, cores.ecx, cores.edx));
        Assert.Equal(3u, table.Find(4, 0)!.Value.eax >> 26);
        Assert.Equal(7u, (table.Find(4, 1)!.Value.eax >> 14) & 0xFFF);
        Assert.Equal(0u, table.Find(4, 2)!.Value.eax & 0x1F);
    }

    [Fact]
    public void Build_SingleProcessor_ClearsHyperThreadingBit()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions()).Build(0);

        Assert.Equal(0u, table.Find(1)!.Value.edx & (1u << 28));
    }

    [Fact]
    public void Constructor_FeatureOff_ClearsItsBit()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { Features = [("x2apic", false)] }).Build(0);

        Assert.Equal(0u, table.Find(1)!.Value.ecx & (1u << 21));
    }

    [Fact]
    public void Constructor_FeatureOffThenOn_LastWins()
    {
        CpuidBuilder builder = Builder(Amd(), new CpuidOptions { Features = [("x2apic", false), ("x2apic", true)] });

        Assert.Empty(builder.Warnings);
        Assert.NotEqual(0u, builder.Build(0).Find(1)!.Value.ecx & (1u << 21));
    }

    [Fact]
    public void Constructor_FeatureKvmLacks_WarnsAndStaysOff()
    {
        CpuidBuilder builder = Builder(Amd(), new CpuidOptions { Features = [("avx2", true)] });

        Assert.Equal(["CPU feature 'avx2' is not offered by KVM on this host; it stays off"], builder.Warnings);
        Assert.Equal(0u, builder.Build(0).Find(7)!.Value.ebx & (1u << 5));
    }

    [Fact]
    public void Constructor_UnknownFeature_ThrowsOneLine()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => Builder(Amd(), new CpuidOptions { Features = [("warp9", true)] }));

        Assert.Equal("unknown CPU feature 'warp9'; the names are those of /proc/cpuinfo", error.Message);
    }

    [Fact]
    public void Constructor_MaxModel_AddsEmulatedFeatures()
    {
        var emulated = new kvm_cpuid_entry2 { function = 1, ecx = 1 << 22 };

        CpuidTable table = new CpuidBuilder(Amd(), [emulated], new CpuidOptions { Max = true }).Build(0);

        Assert.NotEqual(0u, table.Find(1)!.Value.ecx & (1u << 22));
    }

    [Theory]
    [InlineData("Intel")]
    [InlineData("GenuineIntel!")]
    public void Constructor_VendorOfWrongLength_Throws(string vendor) =>
        Assert.Throws<ArgumentException>(() => Builder(Amd(), new CpuidOptions { Vendor = vendor }));

    [Fact]
    public void Constructor_PhysBits_SetsAddressWidth()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { PhysBits = 40 }).Build(0);

        Assert.Equal(40u, table.Find(0x8000_0008)!.Value.eax & 0xFF);
    }

    [Theory]
    [InlineData(31)]
    [InlineData(53)]
    public void Constructor_PhysBitsOutOfRange_Throws(int bits) =>
        Assert.Throws<ArgumentException>(() => Builder(Amd(), new CpuidOptions { PhysBits = bits }));

    [Fact]
    public void Build_IntelWithTscRate_TellsCrystalAndRatio()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { Vendor = "GenuineIntel", TscKhz = 2_600_000 }).Build(0);

        kvm_cpuid_entry2 rate = table.Find(0x15)!.Value;
        Assert.Equal(2_600_000_000UL, (ulong)rate.ecx * rate.ebx / rate.eax);
        Assert.Equal(2600u, table.Find(0x16)!.Value.eax);
    }

    [Fact]
    public void Build_TscRate_TellsItInHypervisorLeaf()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { TscKhz = 2_600_000 }).Build(0);

        kvm_cpuid_entry2 timing = table.Find(0x4000_0010)!.Value;
        Assert.Equal((2_600_000u, 1_000_000u), (timing.eax, timing.ebx));
        Assert.Equal(0x4000_0010u, table.Find(0x4000_0000)!.Value.eax);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Build_TscDeadlineTimer_AsTheKernelHasIt(bool has)
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { HasTscDeadlineTimer = has }).Build(0);

        Assert.Equal(has, (table.Find(1)!.Value.ecx & (1u << 24)) != 0);
    }

    [Fact]
    public void Build_FeatureList_SwitchesTheTscDeadlineTimerOff()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { HasTscDeadlineTimer = true, Features = [("tsc_deadline_timer", false)] }).Build(0);

        Assert.Equal(0u, table.Find(1)!.Value.ecx & (1u << 24));
    }

    [Fact]
    public void Build_WithoutLocalApic_OffersNoX2Apic()
    {
        CpuidTable table = Builder(Amd(), new CpuidOptions { HasLocalApic = false, HasTscDeadlineTimer = true }).Build(0);

        Assert.Equal(0u, table.Find(1)!.Value.ecx & ((1u << 21) | (1u << 24)));
    }

    [Fact]
    public void Names_EveryName_IsUniqueAndFound()
    {
        string[] names = [.. CpuFeatureTable.Names];

        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.All(names, n => Assert.True(CpuFeatureTable.TryFind(n, out _, out _, out _, out int bit) && bit is >= 0 and < 32));
    }

    [Theory]
    [InlineData("lm", 0x8000_0001u, Edx, 29)]
    [InlineData("svm", 0x8000_0001u, Ecx, 2)]
    [InlineData("hypervisor", 1u, Ecx, 31)]
    [InlineData("avx512vl", 7u, Ebx, 31)]
    [InlineData("la57", 7u, Ecx, 16)]
    [InlineData("arch_capabilities", 7u, Edx, 29)]
    [InlineData("avx_vnni", 7u, Eax, 4)]
    [InlineData("npt", 0x8000_000Au, Edx, 0)]
    [InlineData("kvm_pv_ipi", 0x4000_0001u, Eax, 11)]
    [InlineData("constant_tsc", 0x8000_0007u, Edx, 8)]
    [InlineData("ssbd", 0x8000_0008u, Ebx, 24)]
    public void TryFind_KnownName_GivesArchitectedBit(string name, uint function, CpuidRegister register, int bit)
    {
        Assert.True(CpuFeatureTable.TryFind(name, out uint foundFunction, out _, out CpuidRegister foundRegister, out int foundBit));
        Assert.Equal((function, register, bit), (foundFunction, foundRegister, foundBit));
    }

    private static CpuidBuilder Builder(kvm_cpuid_entry2[] supported, CpuidOptions options) => new(supported, [], options);

    private static kvm_cpuid_entry2[] Amd() =>
    [
        new() { function = 0, eax = 0x10, ebx = 0x6874_7541, ecx = 0x444D_4163, edx = 0x6974_6E65 },
        new() { function = 1, eax = 0x00B0_0F21, ebx = 0x0002_0800, ecx = (1 << 21) | (1 << 24), edx = 0x178B_FBFF },
        new() { function = 7, flags = KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX, ebx = 2 },
        new() { function = 0x4000_0000, eax = 0x4000_0001, ebx = 0x4B4D_564B, ecx = 0x564B_4D56, edx = 0x4D },
        new() { function = 0x4000_0001, eax = 0x0100_7EFB },
        new() { function = 0x8000_0000, eax = 0x8000_0021, ebx = 0x6874_7541, ecx = 0x444D_4163, edx = 0x6974_6E65 },
        new() { function = 0x8000_0001, edx = 1 << 29 },
        new() { function = 0x8000_0008, eax = 0x3030, ecx = 0x7001 },
        new() { function = 0x8000_001D, index = 0, flags = 1, eax = 0x121, ebx = 0x02C0_003F, ecx = 0x3F },
        new() { function = 0x8000_001D, index = 1, flags = 1, eax = 0x163, ebx = 0x03C0_003F, ecx = 0x7FFF },
        new() { function = 0x8000_001D, index = 2, flags = 1 },
    ];
}
