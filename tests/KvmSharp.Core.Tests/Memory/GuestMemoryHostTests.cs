using KvmSharp.Abi;
using KvmSharp.Core.Memory;

namespace KvmSharp.Core.Tests.Memory;

/// <summary>How RAM is obtained from the host, and what is said when the host refuses.</summary>
public sealed class GuestMemoryHostTests
{
    private const string HugePagePool = "/proc/sys/vm/nr_hugepages";

    [Fact]
    public void Create_Preallocated_IsResident()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 8 << 20, Preallocate = true });
        Assert.Equal(8UL << 10, MappingField(memory, "Rss"));
    }

    [Fact]
    public void Create_Locked_IsResidentAndLocked()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20, Lock = true });
        Assert.Equal(4UL << 10, MappingField(memory, "Locked"));
    }

    [Fact]
    public void Create_Mergeable_IsPrivateAndOffered()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20, Mergeable = true });
        Assert.False(memory.IsShared);
        Assert.Throws<InvalidOperationException>(() => memory.File);
        Assert.Contains(" mg", MappingLine(memory, "VmFlags"), StringComparison.Ordinal);
        Assert.True(memory.TryWrite(new GuestAddress(4096), 1UL));
    }

    [Fact]
    public void Create_Plain_IsSharedAndLeftOutOfCoreDumps()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20 });
        Assert.True(memory.IsShared);
        Assert.Contains(" dd", MappingLine(memory, "VmFlags"), StringComparison.Ordinal);
    }

    [Fact]
    public void Create_NumaNode_BindsTheMapping()
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20, NumaNode = 0, Preallocate = true });
        string address = memory.Regions[0].Host.ToString("x");
        Assert.Contains(File.ReadLines("/proc/self/numa_maps"), line => line.StartsWith($"{address} bind:0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(63)]
    [InlineData(1024)]
    [InlineData(-1)]
    public void Create_NumaNodeAbsent_NamesTheNodes(int node)
    {
        LinuxException error = Assert.Throws<LinuxException>(
            () => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4 << 20, NumaNode = node }));
        Assert.Equal($"bind guest memory to NUMA node {node}: Invalid argument; the host's nodes are {HostMemoryInfo.NumaNodes}", error.Message);
    }

    [Fact]
    public void Create_PreallocateMoreThanTheHostHas_SaysHowMuchThereIs()
    {
        LinuxException error = Assert.Throws<LinuxException>(
            () => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1UL << 40, Preallocate = true }));
        Assert.Equal(LibcConstants.ENOMEM, error.Errno);
        Assert.StartsWith("preallocate 1048576 MiB of guest memory: Cannot allocate memory; the host has ", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("give the guest less memory, or run without preallocation", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_LockMoreThanTheHostHas_SaysRunWithoutLocking() =>
        Assert.EndsWith("or run without locking", Assert.Throws<LinuxException>(
            () => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1UL << 40, Lock = true })).Message, StringComparison.Ordinal);

    [Fact]
    public void Create_BeyondTheAddressSpace_SaysGiveLess()
    {
        LinuxException error = Assert.Throws<LinuxException>(() => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1UL << 50 }));
        Assert.Equal("map 1073741824 MiB of guest memory: Cannot allocate memory; give the guest less memory", error.Message);
    }

    [Fact]
    public void Create_HugeAndMergeable_ExcludeEachOther() =>
        Assert.Contains("cannot be merged", Assert.Throws<ArgumentException>(
            () => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 2 << 20, HugePages = true, Mergeable = true })).Message, StringComparison.Ordinal);

    [Fact]
    public void Create_HugePagesNotReserved_SaysHowToAddThem()
    {
        LinuxException error = Assert.Throws<LinuxException>(
            () => GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1UL << 40, HugePages = true }));
        Assert.StartsWith("reserve 524288 huge pages of 2 MiB for guest memory: Cannot allocate memory; the host has ", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("add some with 'sysctl vm.nr_hugepages=N', or run without huge pages", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_HugePagesOddSize_RoundsTheBackingOnly()
    {
        string before = File.ReadAllText(HugePagePool);
        File.WriteAllText(HugePagePool, "8");
        try
        {
            using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = (2 << 20) + 4096, HugePages = true, Preallocate = true });
            Assert.Equal((2UL << 20) + 4096, memory.SizeBytes);
            Assert.Equal(4UL << 10, MappingField(memory, "Size"));
            Assert.Equal(2048UL, MappingField(memory, "KernelPageSize"));
            Assert.True(memory.TryWrite(new GuestAddress(2 << 20), 1UL));
            Assert.False(memory.TryWrite(new GuestAddress((2 << 20) + 4096), (byte)1));
        }
        finally
        {
            File.WriteAllText(HugePagePool, before);
        }
    }

    private static ulong MappingField(GuestMemory memory, string field) =>
        ulong.Parse(MappingLine(memory, field).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);

    /// <summary>A line of /proc/self/smaps about the mapping that guest memory starts with.</summary>
    private static string MappingLine(GuestMemory memory, string field)
    {
        string start = memory.Regions[0].Host.ToString("x");
        return File.ReadLines("/proc/self/smaps").SkipWhile(line => !line.StartsWith($"{start}-", StringComparison.Ordinal))
            .First(line => line.StartsWith($"{field}:", StringComparison.Ordinal));
    }
}
