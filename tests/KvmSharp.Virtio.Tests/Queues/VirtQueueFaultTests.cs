using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Virtio.Tests.Queues.QueueFixture;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueFaultTests
{
    private const ulong Packed = VirtioFeatures.RingPacked;
    private const ulong Indirect = VirtioFeatures.IndirectDesc;
    private const ushort Next = 1, Write = 2, IndirectFlag = 4, Available = 0x80;

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_ReadableAfterWritable_FaultsOnceAndStopsPopping(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Add(1, Writable(8), Readable(8));
        fixture.Offer(2);

        Assert.False(fixture.Device.TryPop(out _));
        Assert.Equal(VirtQueueFault.ReadableAfterWritable, fixture.Device.Fault);
        Assert.False(fixture.Device.TryPop(out _));
        Assert.False(fixture.Device.HasAvailable);
        Assert.True(fixture.Device.TryEnableNotifications());
        Assert.True(fixture.Device.TryReportFault(out VirtQueueFault fault));
        Assert.Equal(VirtQueueFault.ReadableAfterWritable, fault);
        Assert.False(fixture.Device.TryReportFault(out _));
    }

    [Fact]
    public void TryPop_ChainLoops_Faults()
    {
        using QueueFixture fixture = new();
        fixture.Add(1, Readable(8), Readable(8));
        Split(fixture, 1, Data, 8, Next, next: 0);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.ChainLoop, fixture);
    }

    [Fact]
    public void TryPop_ChainAsLongAsTheRing_IsLegal()
    {
        using QueueFixture fixture = new(size: 4);
        fixture.Add(1, Readable(1), Readable(1), Readable(1), Readable(1));
        fixture.Driver.Publish();

        Assert.True(fixture.Device.TryPop(out DescriptorChain chain));
        Assert.Equal(4, chain.Token.DescriptorCount);
    }

    [Fact]
    public void TryPop_HeadOutOfRange_Faults()
    {
        using QueueFixture fixture = new();
        fixture.Offer(1);
        fixture.Poke16(fixture.Driver.DriverArea + 4, 16);

        AssertFault(VirtQueueFault.HeadOutOfRange, fixture);
    }

    [Fact]
    public void TryPop_NextOutOfRange_Faults()
    {
        using QueueFixture fixture = new();
        fixture.Add(1, Readable(8));
        Split(fixture, 0, Data, 8, Next, next: 16);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.NextOutOfRange, fixture);
    }

    [Theory]
    [InlineData((ushort)17)]
    [InlineData((ushort)0xffff)]
    [InlineData((ushort)0x8000)]
    public void TryPop_AvailIndexJumps_Faults(ushort index)
    {
        using QueueFixture fixture = new(size: 16);
        fixture.Poke16(fixture.Driver.DriverArea + 2, index);

        AssertFault(VirtQueueFault.AvailIndexJump, fixture);
    }

    [Fact]
    public void TryPop_OversubscribedWhileInFlight_Faults()
    {
        using QueueFixture fixture = new(size: 4);
        fixture.Offer(1);
        Assert.True(fixture.Device.TryPop(out _));
        fixture.Poke16(fixture.Driver.DriverArea + 2, 5);

        AssertFault(VirtQueueFault.AvailIndexJump, fixture);
    }

    [Fact]
    public void TryPop_PackedOversubscribed_Faults()
    {
        using QueueFixture fixture = new(size: 2, features: Packed);
        fixture.Offer(1);
        Assert.True(fixture.Device.TryPop(out _));
        fixture.Poke16(fixture.DescriptorAt(0) + 14, 0x8000);

        AssertFault(VirtQueueFault.Oversubscribed, fixture);
    }

    [Fact]
    public void TryPop_PackedChainAroundTheWholeRing_Faults()
    {
        using QueueFixture fixture = new(size: 2, features: Packed);
        fixture.Poke16(fixture.DescriptorAt(1) + 14, Available | Next);
        fixture.Poke16(fixture.DescriptorAt(0) + 14, Available | Next);

        AssertFault(VirtQueueFault.NextNotAvailable, fixture);
    }

    [Fact]
    public void TryPop_PackedChainRunsIntoUnavailable_Faults()
    {
        using QueueFixture fixture = new(features: Packed);
        fixture.Poke16(fixture.DescriptorAt(0) + 14, Available | Next);

        AssertFault(VirtQueueFault.NextNotAvailable, fixture);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_IndirectNotNegotiated_Faults(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.AddIndirect(1, Readable(8));
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.IndirectNotNegotiated, fixture);
    }

    [Fact]
    public void TryPop_SplitIndirectInIndirect_Faults()
    {
        using QueueFixture fixture = new(features: Indirect);
        fixture.AddIndirect(1, Readable(8));
        Split(fixture, 0, Data, 16, IndirectFlag, 0);
        fixture.Poke64(Data, Data + 64);
        fixture.Poke32(Data + 8, 16);
        fixture.Poke16(Data + 12, IndirectFlag);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.NestedIndirect, fixture);
    }

    [Fact]
    public void TryPop_PackedIndirectInIndirect_Faults()
    {
        using QueueFixture fixture = new(features: Indirect | Packed);
        fixture.AddIndirect(1, Readable(8));
        fixture.Poke64(fixture.DescriptorAt(0), Data);
        fixture.Poke16(Data + 14, IndirectFlag);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.NestedIndirect, fixture);
    }

    [Fact]
    public void TryPop_SplitIndirectWithNext_Faults()
    {
        using QueueFixture fixture = new(features: Indirect);
        fixture.AddIndirect(1, Readable(8));
        fixture.Poke16(fixture.DescriptorAt(0) + 12, IndirectFlag | Next);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.IndirectInChain, fixture);
    }

    [Fact]
    public void TryPop_SplitIndirectAtTheEndOfAChain_IsLegal()
    {
        using QueueFixture fixture = new(features: Indirect);
        fixture.Add(1, Readable(8), Writable(16, 64));
        Split(fixture, 1, Data + 64, 16, IndirectFlag | Write, 0);
        fixture.Poke64(Data + 64, Data + 128);
        fixture.Poke32(Data + 72, 5);
        fixture.Poke16(Data + 76, Write);
        fixture.Driver.Publish();

        Assert.True(fixture.Device.TryPop(out DescriptorChain chain));
        Assert.Equal(8u, chain.ReadableBytes);
        Assert.Equal(5u, chain.WritableBytes);
    }

    [Fact]
    public void TryPop_PackedIndirectInAList_Faults()
    {
        using QueueFixture fixture = new(features: Indirect | Packed);
        fixture.Add(1, Readable(8), Readable(16));
        fixture.Poke16(fixture.DescriptorAt(1) + 14, Available | IndirectFlag);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.IndirectInChain, fixture);
    }

    [Theory]
    [InlineData(Indirect, 0u, Data)]
    [InlineData(Indirect, 17u, Data)]
    [InlineData(Indirect, 32u, MemoryBytes - 16)]
    [InlineData(Indirect, 0xffff_fff0u, Data)]
    [InlineData(Indirect | Packed, 0u, Data)]
    [InlineData(Indirect | Packed, 17u, Data)]
    [InlineData(Indirect | Packed, 32u, MemoryBytes - 16)]
    [InlineData(Indirect | Packed, 16u, ulong.MaxValue - 3)]
    public void TryPop_BadIndirectTable_Faults(ulong features, uint length, ulong address)
    {
        using QueueFixture fixture = new(features: features);
        fixture.AddIndirect(1, Readable(8));
        fixture.Poke64(fixture.DescriptorAt(0), address);
        fixture.Poke32(fixture.DescriptorAt(0) + 8, length);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.BadIndirectTable, fixture);
    }

    [Fact]
    public void TryPop_LoopInIndirectTable_Faults()
    {
        using QueueFixture fixture = new(features: Indirect);
        fixture.AddIndirect(1, Readable(8), Readable(8));
        fixture.Poke64(fixture.DescriptorAt(0), Data);
        fixture.Poke64(Data, Data);
        fixture.Poke32(Data + 8, 1);
        fixture.Poke16(Data + 12, Next);
        fixture.Poke16(Data + 14, 0);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.ChainLoop, fixture);
    }

    [Theory]
    [InlineData(Indirect)]
    [InlineData(Indirect | Packed)]
    public void TryPop_HugeTableOfEmptyBuffers_IsBounded(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.AddIndirect(1, Readable(8));
        fixture.Poke64(fixture.DescriptorAt(0), 0x10_0000);
        fixture.Poke32(fixture.DescriptorAt(0) + 8, 0x20_0000);
        for (ulong at = 0x10_0000; at < 0x30_0000; at += 16)
            fixture.Poke64(at + 8, (features & Packed) != 0 ? 0 : 1UL << 32 | ((at >> 4) + 1 & 0xfff) << 48);
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.TooManySegments, fixture);
    }

    [Theory]
    [InlineData(0UL, MemoryBytes - 4, 8u)]
    [InlineData(0UL, MemoryBytes, 1u)]
    [InlineData(0UL, ulong.MaxValue, 1u)]
    [InlineData(0UL, ulong.MaxValue - 3, 8u)]
    [InlineData(Packed, MemoryBytes - 4, 8u)]
    [InlineData(Packed, ulong.MaxValue - 3, 8u)]
    public void TryPop_BufferOutsideMemory_Faults(ulong features, ulong address, uint length)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Add(1, new TestKit.Virtio.DriverBuffer(address, length, true));
        fixture.Driver.Publish();

        AssertFault(VirtQueueFault.BufferOutsideMemory, fixture);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_FourGigabytesInOneChain_Faults(ulong features)
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 0x8000_0000 });
        TestKit.Virtio.DriverQueue driver = TestKit.Virtio.DriverQueue.Create(memory, 0x1_0000, 16, features);
        VirtQueue device = driver.Open();
        driver.TryAdd([new(0, 0x8000_0000, false), new(0, 0x8000_0000, true)], 1);
        driver.Publish();

        Assert.False(device.TryPop(out _));
        Assert.Equal(VirtQueueFault.ChainTooLong, device.Fault);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_MoreSegmentsThanTheLimit_Faults(ulong features)
    {
        using QueueFixture fixture = new(size: 8, features: features);
        VirtQueueConfig config = new()
        {
            Size = 8, SegmentLimit = 2, DescriptorArea = new(fixture.Driver.DescriptorArea),
            DriverArea = new(fixture.Driver.DriverArea), DeviceArea = new(fixture.Driver.DeviceArea),
        };
        VirtQueue.Open(config, fixture.Memory, features, VirtQueueState.Initial(features), out VirtQueue? device);
        fixture.Add(1, Readable(1), Readable(1), Readable(1));
        fixture.Driver.Publish();

        Assert.False(device!.TryPop(out _));
        Assert.Equal(VirtQueueFault.TooManySegments, device.Fault);
    }

    [Theory]
    [InlineData(0UL, (ushort)0, VirtQueueFault.BadSize)]
    [InlineData(0UL, (ushort)3, VirtQueueFault.BadSize)]
    [InlineData(0UL, (ushort)32769, VirtQueueFault.BadSize)]
    [InlineData(Packed, (ushort)0, VirtQueueFault.BadSize)]
    [InlineData(Packed, (ushort)32769, VirtQueueFault.BadSize)]
    [InlineData(Packed, (ushort)3, VirtQueueFault.None)]
    public void Open_Size_IsChecked(ulong features, ushort size, VirtQueueFault expected)
    {
        using QueueFixture fixture = new(features: features);
        VirtQueueConfig config = fixture.Driver.ToConfig();
        config.Size = size;

        Assert.Equal(expected, VirtQueue.Open(config, fixture.Memory, features, VirtQueueState.Initial(features), out _));
    }

    [Theory]
    [InlineData(0UL, 0x1_0008UL, 0x2_0000UL, 0x3_0000UL, VirtQueueFault.MisalignedArea)]
    [InlineData(0UL, 0x1_0000UL, 0x2_0001UL, 0x3_0000UL, VirtQueueFault.MisalignedArea)]
    [InlineData(0UL, 0x1_0000UL, 0x2_0000UL, 0x3_0002UL, VirtQueueFault.MisalignedArea)]
    [InlineData(0UL, 0x1_0000UL, 0x2_0002UL, 0x3_0004UL, VirtQueueFault.None)]
    [InlineData(0UL, MemoryBytes - 16, 0x2_0000UL, 0x3_0000UL, VirtQueueFault.AreaOutsideMemory)]
    [InlineData(0UL, 0x1_0000UL, MemoryBytes - 36, 0x3_0000UL, VirtQueueFault.AreaOutsideMemory)]
    [InlineData(0UL, 0x1_0000UL, 0x2_0000UL, ulong.MaxValue - 3, VirtQueueFault.AreaOutsideMemory)]
    [InlineData(Packed, 0x1_0000UL, 0x2_0002UL, 0x3_0000UL, VirtQueueFault.MisalignedArea)]
    [InlineData(Packed, 0x1_0000UL, 0x2_0000UL, MemoryBytes - 4, VirtQueueFault.None)]
    [InlineData(Packed, 0x1_0000UL, 0x2_0000UL, MemoryBytes, VirtQueueFault.AreaOutsideMemory)]
    public void Open_Areas_AreChecked(ulong features, ulong descriptors, ulong driver, ulong device, VirtQueueFault expected)
    {
        using QueueFixture fixture = new(features: features);
        VirtQueueConfig config = new() { Size = 16, DescriptorArea = new(descriptors), DriverArea = new(driver), DeviceArea = new(device) };

        Assert.Equal(expected, VirtQueue.Open(config, fixture.Memory, features, VirtQueueState.Initial(features), out _));
    }

    [Theory]
    [InlineData(0UL, (ushort)16, (ushort)0, VirtQueueFault.None)]
    [InlineData(0UL, (ushort)17, (ushort)0, VirtQueueFault.BadState)]
    [InlineData(0UL, (ushort)0, (ushort)1, VirtQueueFault.BadState)]
    [InlineData(Packed, (ushort)0x800f, (ushort)0x800f, VirtQueueFault.None)]
    [InlineData(Packed, (ushort)0x8010, (ushort)0x8000, VirtQueueFault.BadState)]
    [InlineData(Packed, (ushort)0x0010, (ushort)0x0010, VirtQueueFault.BadState)]
    [InlineData(Packed, (ushort)0x0000, (ushort)0x8000, VirtQueueFault.None)]
    [InlineData(Packed, (ushort)0x0001, (ushort)0x8000, VirtQueueFault.BadState)]
    [InlineData(Packed, (ushort)0x8000, (ushort)0x8001, VirtQueueFault.BadState)]
    public void Open_SavedCursors_AreChecked(ulong features, ushort avail, ushort used, VirtQueueFault expected)
    {
        using QueueFixture fixture = new(size: 16, features: features);

        VirtQueueFault fault = VirtQueue.Open(fixture.Driver.ToConfig(), fixture.Memory, features, new VirtQueueState(avail, used), out VirtQueue? queue);

        Assert.Equal(expected, fault);
        Assert.Equal(expected == VirtQueueFault.None, queue is not null);
    }

    private static void AssertFault(VirtQueueFault expected, QueueFixture fixture)
    {
        Assert.False(fixture.Device.TryPop(out _));
        Assert.Equal(expected, fixture.Device.Fault);
        Assert.False(fixture.Device.TryPop(out _));
    }

    private static void Split(QueueFixture fixture, int index, ulong address, uint length, ushort flags, ushort next)
    {
        fixture.Poke64(fixture.DescriptorAt(index), address);
        fixture.Poke32(fixture.DescriptorAt(index) + 8, length);
        fixture.Poke16(fixture.DescriptorAt(index) + 12, flags);
        fixture.Poke16(fixture.DescriptorAt(index) + 14, next);
    }
}
