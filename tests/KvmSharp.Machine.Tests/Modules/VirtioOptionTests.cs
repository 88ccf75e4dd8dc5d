using System.Buffers.Binary;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Machine.Tests.Modules;

/// <summary>What is said about a virtio device shows in what its driver and the host see.</summary>
public sealed class VirtioOptionTests : IDisposable
{
    private const byte MsixCapability = 0x11;

    private readonly string _image = Path.GetTempFileName();

    public VirtioOptionTests()
    {
        using FileStream file = File.OpenWrite(_image);
        file.SetLength(1 << 20);
    }

    public void Dispose() => File.Delete(_image);

    [Fact]
    public void Features_Default_AreSplitRingsWithEventIdxAndIndirect() =>
        Assert.Equal(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc, RingFeatures(new VirtioSettings()));

    [Fact]
    public void Features_PackedInOrder_AreOffered() =>
        Assert.Equal(
            VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc,
            RingFeatures(new VirtioSettings { Packed = true, InOrder = true }));

    [Fact]
    public void Features_AllOff_AreNone() => Assert.Equal(0UL, RingFeatures(new VirtioSettings { EventIdx = false, IndirectDesc = false }));

    [Fact]
    public void Vectors_Default_AreOneMorePerDeviceThanQueues()
    {
        using DeviceBoard board = new(Machine(new DiskConfig { Path = _image, Queues = 3 }));

        Assert.Equal(4, VectorCount(board));
    }

    [Fact]
    public void Vectors_Two_AreTwo()
    {
        using DeviceBoard board = new(Machine(new DiskConfig { Path = _image, Queues = 3, Virtio = new VirtioSettings { Vectors = 2 } }));

        Assert.Equal(2, VectorCount(board));
    }

    [Fact]
    public void Vectors_None_InterruptsComeByThePin()
    {
        using DeviceBoard board = new(Machine(new RngConfig { Virtio = new VirtioSettings { Vectors = 0 } }));

        ServeOneRequest(board);

        Assert.Equal(0, VectorCount(board));
        Assert.True(board.Interrupts.Line(board.Transport(0).Function.Intx!.Gsi).Level);
    }

    [Fact]
    public void Vectors_OnMicrovm_AreRefused()
    {
        MachineConfig config = Machine(new RngConfig { Virtio = new VirtioSettings { Vectors = 2 } }) with { Kind = MachineKind.Microvm };

        Assert.Equal("rng: there are no MSI-X vectors without PCI", Assert.Throws<ConfigException>(() => new DeviceBoard(config)).Message);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 0)]
    public void IoEventFd_DecidesWhetherRunningQueuesHaveDoorbells(bool on, int doorbells)
    {
        using DeviceBoard board = new(Machine(new RngConfig { Virtio = new VirtioSettings { IoEventFd = on } }));

        ServeOneRequest(board);

        Assert.Equal(doorbells, board.Doorbells.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void IrqFd_DecidesWhetherMessagesAreSentBySystemCall(bool on)
    {
        using DeviceBoard board = new(Machine(new RngConfig { Virtio = new VirtioSettings { IrqFd = on } }));

        ServeOneRequest(board, msix: true);

        Assert.Equal(on ? 0 : 1, board.Interrupts.SentMessages.Count);
        Assert.Equal(on ? 1 : 0, board.Interrupts.Vectors.Sum(v => v.Delivered));
    }

    [Fact]
    public void QueueSize_Given_IsTheLargest()
    {
        using DeviceBoard board = new(Machine(
            new RngConfig { Virtio = new VirtioSettings { QueueSize = 2 } }, new DiskConfig { Path = _image, Virtio = new VirtioSettings { QueueSize = 1024 } }));

        Assert.Equal(2, board.Driver(0).GetMaxSize(0));
        Assert.Equal(1024, board.Driver(1).GetMaxSize(0));
    }

    [Theory]
    [InlineData(1, null, 1)]
    [InlineData(3, null, 3)]
    [InlineData(64, null, 8)]
    [InlineData(3, 5, 5)]
    public void DiskQueues_Default_AreOnePerCpuWithinReason(int cpus, int? asked, int queues)
    {
        using DeviceBoard board = new(Machine(new DiskConfig { Path = _image, Queues = asked }) with { Cpus = new CpuConfig { Count = cpus, Cores = cpus } });

        Assert.NotEqual(0, board.Driver(0).GetMaxSize(queues - 1));
        Assert.Equal(0, board.Driver(0).GetMaxSize(queues));
    }

    [Fact]
    public void Disk_BlockSizes_AreWhatTheGuestSees()
    {
        using DeviceBoard board = new(Machine(new DiskConfig { Path = _image, LogicalBlockSize = 4096, PhysicalBlockSize = 16384 }));
        VirtioPciDriver driver = board.Driver(0);

        Assert.Equal(4096u, driver.Read(driver.ConfigAddress + 20, 4)); // blk_size
        Assert.Equal(2u, driver.Read(driver.ConfigAddress + 24, 1)); // physical_block_exp
    }

    [Fact]
    public void Disk_SizeNotInLogicalBlocks_IsRefused()
    {
        using (FileStream file = File.OpenWrite(_image))
            file.SetLength((1 << 20) + 512);

        ConfigException error = Assert.Throws<ConfigException>(() => new DeviceBoard(Machine(new DiskConfig { Path = _image, LogicalBlockSize = 4096 })));

        Assert.Equal($"--disk {_image}: its 1049088 bytes are not a multiple of logical_block_size 4096", error.Message);
    }

    [Theory]
    [InlineData(true, true, 1UL << VIRTIO_BLK_F_DISCARD | 1UL << VIRTIO_BLK_F_WRITE_ZEROES)]
    [InlineData(false, true, 1UL << VIRTIO_BLK_F_WRITE_ZEROES)]
    [InlineData(true, false, 1UL << VIRTIO_BLK_F_DISCARD)]
    [InlineData(false, false, 0UL)]
    public void Disk_DiscardAndWriteZeroes_AreOfferedAsAsked(bool discard, bool writeZeroes, ulong offered)
    {
        using DeviceBoard board = new(Machine(new DiskConfig { Path = _image, Discard = discard, WriteZeroes = writeZeroes }));

        Assert.Equal(offered, board.Driver(0).OfferedFeatures & (1UL << VIRTIO_BLK_F_DISCARD | 1UL << VIRTIO_BLK_F_WRITE_ZEROES));
    }

    [Fact]
    public void IoThreads_Named_AreSharedAndNumbersOfOthersAreLeftAlone()
    {
        MachineConfig config = Machine(
            new RngConfig(),
            new DiskConfig { Path = _image, Queues = 4, Virtio = new VirtioSettings { IoThreads = ["fast", "1"] } },
            new RngConfig { Virtio = new VirtioSettings { IoThreads = ["fast"] } });
        using DeviceBoard board = new(config with { IoThreads = [new IoThreadConfig("fast"), new IoThreadConfig("0")] });

        Assert.Same(board.Context.IoThreads.Get(new VirtioSettings { IoThreads = ["fast"] }, 1)[0], board.Context.IoThreads.Get(new VirtioSettings { IoThreads = ["1", "fast"] }, 1)[1]);
        Assert.Equal("iothread 3", board.Context.IoThreads.Get(new VirtioSettings(), 1)[0].Name); // 0 and 1 are taken, the first device has 2
    }

    [Fact]
    public void IoThread_Cpus_BindTheThread()
    {
        int cpu = AllowedCpus(null)[0];
        using DeviceBoard board = new(Machine(new RngConfig { Virtio = new VirtioSettings { IoThreads = ["pinned-to-one"] } }) with
        {
            IoThreads = [new IoThreadConfig("pinned-to-one") { Cpus = [cpu] }],
        });

        Assert.Equal([cpu], AllowedCpus("iothread pinned"));
    }

    [Fact]
    public void IoThread_CpusThatAreNotThere_AreRefusedInOneLine()
    {
        ConfigException error = Assert.Throws<ConfigException>(() => new DeviceBoard(Machine(new RngConfig { Virtio = new VirtioSettings { Cpus = [8000, 8001] } })));

        Assert.Equal("iothread 0 can run on none of the CPUs 8000:8001", error.Message);
    }

    [Fact]
    public void Net_DescriptorNotInherited_IsRefused()
    {
        using FileDescriptor ours = FileDescriptor.Open("/dev/null", LibcConstants.O_RDWR);

        ConfigException error = Assert.Throws<ConfigException>(() => new DeviceBoard(Machine(new NetConfig { Descriptors = [ours.Value] })));

        Assert.Equal($"--net: fd {ours.Value} is not open", error.Message);
    }

    private static MachineConfig Machine(params DeviceConfig[] devices) => new() { Devices = devices };

    private static ulong RingFeatures(VirtioSettings settings)
    {
        using DeviceBoard board = new(Machine(new RngConfig { Virtio = settings }));
        return board.Driver(0).OfferedFeatures & VirtioFeatures.Ring;
    }

    private static int VectorCount(DeviceBoard board)
    {
        var config = board.Transport(0).Function.Config;
        for (int at = config.Get8(0x34); at != 0; at = config.Get8(at + 1))
        {
            if (config.Get8(at) == MsixCapability)
                return (config.Get16(at + 2) & 0x7ff) + 1;
        }

        return 0;
    }

    /// <summary>Has the entropy device fill a buffer, and waits for its interrupt.</summary>
    private static void ServeOneRequest(DeviceBoard board, bool msix = false)
    {
        VirtioPciDriver driver = board.Driver(0);
        if (msix)
        {
            driver.EnableMsix();
            driver.QueueVector = 1;
        }

        Assert.True(driver.Negotiate(VirtioFeatures.Version1));
        DriverQueue queue = DriverQueue.Create(board.Context.Memory, 0x1_0000, 8, VirtioFeatures.Version1);
        driver.SetUpQueue(0, queue);
        driver.SetDriverOk();
        Assert.True(queue.TryAdd([new DriverBuffer(0x2_0000, 64, true)], 1));
        queue.Publish();
        driver.KickByExit(0);
        Assert.True(SpinWait.SpinUntil(() => IsInterrupted(board), 10_000));
    }

    private static bool IsInterrupted(DeviceBoard board) => board.Interrupts.Line(board.Transport(0).Function.Intx!.Gsi).Level ||
        board.Interrupts.SentMessages.Count > 0 || board.Interrupts.Vectors.Any(v => v.Delivered > 0);

    /// <summary>CPUs that a thread of this process may run on, by the start of its name; null: the calling one's.</summary>
    private static List<int> AllowedCpus(string? thread)
    {
        string folder = thread is null ? "/proc/thread-self" : Assert.Single(ThreadFolders.Find(thread));
        string list = File.ReadLines(Path.Combine(folder, "status")).Single(l => l.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)).Split(':')[1].Trim();
        return [.. list.Split(',').SelectMany(Range)];
    }

    private static IEnumerable<int> Range(string text)
    {
        int[] ends = [.. text.Split('-').Select(int.Parse)];
        return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
    }
}
