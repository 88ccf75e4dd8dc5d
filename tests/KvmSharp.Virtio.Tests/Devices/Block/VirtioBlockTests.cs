using System.Runtime.InteropServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Block;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Virtio.Tests.Devices.Block;

public sealed class VirtioBlockTests : IDisposable
{
    private readonly EventLoop _loop = new(new EventLoopOptions { Name = "blk-0" });
    private readonly EventLoop _secondLoop = new(new EventLoopOptions { Name = "blk-1" });
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 16 << 20 });
    private readonly FakeVirtioInterrupt _driver = new();
    private readonly EventFd _kick = new();

    public VirtioBlockTests()
    {
        _loop.Start();
        _secondLoop.Start();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _secondLoop.Dispose();
        _kick.Dispose();
        _memory.Dispose();
    }

    [Fact]
    public void ReadConfig_Disk_TellsItsGeometry()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20), new VirtioBlockOptions { Queues = 4, QueueSize = 128 });
        virtio_blk_config config = Config(device);
        Assert.Equal(2048UL, config.capacity);
        Assert.Equal(126u, config.seg_max);
        Assert.Equal(512u, config.blk_size);
        Assert.Equal(3, config.physical_block_exp);
        Assert.Equal(4, config.num_queues);
        Assert.Equal(1, config.wce);
        Assert.Equal(1u, config.max_discard_seg);
        Assert.Equal(2097152u, config.max_write_zeroes_sectors);
        Assert.Equal(1, config.write_zeroes_may_unmap);
        Assert.Equal(4, device.Identity.QueueSizes.Count);
    }

    [Fact]
    public void Identity_ReadOnlyDisk_OffersNothingThatWrites()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20) { Limits = new BlockLimits { ReadOnly = true } });
        ulong features = device.Identity.DeviceFeatures;
        Assert.NotEqual(0UL, features & 1UL << VIRTIO_BLK_F_RO);
        Assert.Equal(0UL, features & (1UL << VIRTIO_BLK_F_DISCARD | 1UL << VIRTIO_BLK_F_WRITE_ZEROES | 1UL << VIRTIO_BLK_F_CONFIG_WCE | 1UL << VIRTIO_BLK_F_MQ));
    }

    [Fact]
    public void ReadConfig_PartOfIt_IsThatPart()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        byte[] whole = new byte[device.Identity.ConfigLength];
        device.ReadConfig(0, whole);
        byte[] part = new byte[3];
        device.ReadConfig(19, part);
        Assert.True(whole.AsSpan(19, 3).SequenceEqual(part));
    }

    [Theory]
    [InlineData(1UL << VIRTIO_BLK_F_FLUSH, 1)]
    [InlineData(1UL << VIRTIO_BLK_F_CONFIG_WCE, 1)]
    [InlineData(0UL, 0)]
    public void Activate_DriverWithoutFlush_MakesWritesStable(ulong features, byte writeCache)
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        device.Activate(Context(features));
        Assert.Equal(writeCache, Config(device).wce);
        device.Reset();
        Assert.Equal(1, Config(device).wce);
    }

    [Fact]
    public void WriteConfig_WriteCacheByte_OnlyWhenNegotiated()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        device.Activate(Context(1UL << VIRTIO_BLK_F_FLUSH));
        device.WriteConfig(32, [0]);
        Assert.Equal(1, Config(device).wce);
        device.Reset();
        device.Activate(Context(1UL << VIRTIO_BLK_F_FLUSH | 1UL << VIRTIO_BLK_F_CONFIG_WCE));
        device.WriteConfig(0, [9, 9, 9, 9]);
        device.WriteConfig(32, [0]);
        Assert.Equal(0, Config(device).wce);
        Assert.Equal(2048UL, Config(device).capacity);
        device.WriteConfig(30, [0, 0, 1, 0]);
        Assert.Equal(1, Config(device).wce);
    }

    [Fact]
    public void Capacity_DiskGrew_GuestIsToldOnce()
    {
        MemoryBlockBackend disk = new(1 << 20);
        using VirtioBlock device = Make(disk, new VirtioBlockOptions { CapacityCheckNs = 2_000_000 });
        device.Activate(Context(0));
        disk.Resize(2 << 20);
        Assert.True(SpinWait.SpinUntil(() => _driver.ConfigSignals > 0, 20000));
        Assert.Equal(4096UL, Config(device).capacity);
        device.Reset();
        Assert.Equal(1, _driver.ConfigSignals);
    }

    [Fact]
    public void Capacity_DiskGrewWithoutADriver_TheNextIsToldOnce()
    {
        MemoryBlockBackend disk = new(1 << 20);
        using VirtioBlock device = Make(disk);
        disk.Resize(2 << 20);
        device.CheckCapacity();
        device.CheckCapacity();
        Assert.Equal(0, _driver.ConfigSignals);

        device.Activate(Context(0));
        Assert.Equal(1, _driver.ConfigSignals);
        device.CheckCapacity();
        device.Reset();
        device.Activate(Context(0));
        Assert.Equal(1, _driver.ConfigSignals);
    }

    [Fact]
    public void StopQueue_NotRunningOrTwice_IsNull()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        Assert.Null(device.StopQueue(0));
        DriverQueue queue = Start(device, 0, 0x1_0000);
        Assert.NotNull(device.StopQueue(0));
        Assert.Null(device.StopQueue(0));
        Assert.Equal(16, queue.Free);
    }

    [Fact]
    public void StartQueue_BadRing_NeedsReset()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        VirtioContext context = Context(0);
        device.Activate(context);
        VirtQueueConfig config = new() { Size = 16, DescriptorArea = new GuestAddress(1UL << 40), Enabled = true };
        device.StartQueue(0, new VirtQueueBinding(0, config, _kick, default, context));
        Assert.StartsWith("queue 0:", Assert.Single(_driver.Faults), StringComparison.Ordinal);
        Assert.Null(device.StopQueue(0));
    }

    [Fact]
    public void Request_Malformed_NeedsReset()
    {
        using VirtioBlock device = Make(new MemoryBlockBackend(1 << 20));
        DriverQueue queue = Start(device, 0, 0x1_0000);
        queue.TryAdd([new DriverBuffer(0x40_0000, 16, false)], 1);
        queue.Publish();
        _kick.Signal();
        Assert.True(_driver.WaitForFault());
        Assert.Contains("without header", Assert.Single(_driver.Faults), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("123456789012345678901")]
    [InlineData("ééééééééééé")]
    public void New_SerialTooLong_Throws(string serial)
    {
        using MemoryBlockBackend disk = new(1 << 20);
        Assert.Contains("longer than 20 bytes", Assert.Throws<ArgumentException>(
            () => Make(disk, new VirtioBlockOptions { Serial = serial })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BlockEngine.IoUring, 0)]
    [InlineData(BlockEngine.IoUring, 100_000)]
    [InlineData(BlockEngine.Threads, 0)]
    public void RawImage_TwoQueuesOnTwoLoops_DataSurvivesStopAndRestart(BlockEngine engine, long pollMaxNs)
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream file = File.OpenWrite(path))
                file.SetLength(1 << 20);
            using EventLoop first = new(new EventLoopOptions { Name = "blk-a", PollMaxNs = pollMaxNs });
            using EventLoop second = new(new EventLoopOptions { Name = "blk-b", PollMaxNs = pollMaxNs });
            first.Start();
            second.Start();
            using VirtioBlock device = new(new VirtioBlockOptions { Queues = 2 },
                RawImage.Open(new RawImageOptions { Path = path, Engine = engine }), [first, second]);
            DriverQueue writer = Start(device, 0, 0x1_0000);
            DriverQueue reader = Start(device, 1, 0x8_0000);
            for (uint round = 0; round < 200; round++)
            {
                Assert.True(_memory.TryWrite(new GuestAddress(0x40_0000), round));
                Assert.Equal(VIRTIO_BLK_S_OK, Run(writer, VIRTIO_BLK_T_OUT, round % 64 * 8, 4096, 0x40_0000));
                Assert.Equal(VIRTIO_BLK_S_OK, Run(reader, VIRTIO_BLK_T_IN, round % 64 * 8, 4096, 0x50_0000));
                Assert.True(_memory.TryRead(new GuestAddress(0x50_0000), out uint seen));
                Assert.Equal(round, seen);
                if (round % 50 == 49)
                    Restart(device, 0, writer);
            }

            Assert.Empty(_driver.Faults);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Steady_RequestsOverIoUring_LoopAllocatesNothing()
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream file = File.OpenWrite(path))
                file.SetLength(1 << 20);
            using VirtioBlock device = Make(RawImage.Open(new RawImageOptions { Path = path }));
            DriverQueue queue = Start(device, 0, 0x1_0000);

            Assert.Equal(0, AllocationProbe.OnLoop(_loop, () => Batches(queue, 1000)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static VirtioBlockOptions NoTimer => new() { CapacityCheckNs = 0 };

    private VirtioBlock Make(IBlockBackend backend, VirtioBlockOptions? options = null) => new(options ?? NoTimer, backend, [_loop]);

    private VirtioContext Context(ulong features) => new(features, _memory, _driver, _driver);

    private static virtio_blk_config Config(VirtioBlock device)
    {
        byte[] bytes = new byte[device.Identity.ConfigLength];
        device.ReadConfig(0, bytes);
        return MemoryMarshal.Read<virtio_blk_config>(bytes);
    }

    private DriverQueue Start(VirtioBlock device, int index, ulong ring)
    {
        VirtioContext context = Context(0);
        if (index == 0)
            device.Activate(context);
        DriverQueue queue = DriverQueue.Create(_memory, ring, 16, 0);
        device.StartQueue(index, new VirtQueueBinding(index, queue.ToConfig(), _kick, default, context));
        return queue;
    }

    private void Restart(VirtioBlock device, int index, DriverQueue queue)
    {
        VirtQueueState state = device.StopQueue(index) ?? throw new InvalidOperationException("not running");
        device.StartQueue(index, new VirtQueueBinding(index, queue.ToConfig(), _kick, state, Context(0)));
    }

    private byte Run(DriverQueue queue, uint type, ulong sector, uint length, ulong data)
    {
        Add(queue, type, sector, length, data, 0x30_0000, 1);
        if (queue.Publish())
            _kick.Signal();
        int cookie = 0;
        Assert.True(SpinWait.SpinUntil(() => queue.TryTakeUsed(out cookie, out _), 20000));
        Assert.True(_memory.TryRead(new GuestAddress(0x30_0010), out byte status));
        return status;
    }

    private void Batches(DriverQueue queue, int count)
    {
        for (int batch = 0; batch < count; batch++)
        {
            for (int cookie = 1; cookie <= 5; cookie++)
                Add(queue, cookie % 2 == 0 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, (ulong)cookie * 8, 4096, 0x40_0000, 0x30_0000 + 64UL * (uint)cookie, cookie);
            if (queue.Publish())
                _kick.Signal();
            for (int used = 0; used < 5;)
            {
                if (queue.TryTakeUsed(out _, out _))
                    used++;
                else
                    Thread.Yield();
            }
        }
    }

    private void Add(DriverQueue queue, uint type, ulong sector, uint length, ulong data, ulong header, int cookie)
    {
        Assert.True(_memory.TryWrite(new GuestAddress(header), new virtio_blk_outhdr { type = type, sector = sector }));
        Assert.True(queue.TryAdd(
            [new DriverBuffer(header, 16, false), new DriverBuffer(data, length, type == VIRTIO_BLK_T_IN), new DriverBuffer(header + 16, 1, true)], cookie));
    }
}
