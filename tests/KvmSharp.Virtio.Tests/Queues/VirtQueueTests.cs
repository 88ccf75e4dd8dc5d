using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Virtio.Tests.Queues.QueueFixture;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueTests
{
    private const ulong Packed = VirtioFeatures.RingPacked;

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_EmptyQueue_ReturnsFalse(ulong features)
    {
        using QueueFixture fixture = new(features: features);

        Assert.False(fixture.Device.TryPop(out _));
        Assert.Equal(VirtQueueFault.None, fixture.Device.Fault);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_ChainAvailable_GivesItsBuffersInOrder(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        Assert.True(fixture.Add(7, Readable(16), Readable(100, 0x1000), Writable(200, 0x2000), Writable(1, 0x3000)));
        fixture.Driver.Publish();

        Assert.True(fixture.Device.TryPop(out DescriptorChain chain));

        Assert.Equal(2, chain.Readable.Length);
        Assert.Equal(2, chain.Writable.Length);
        Assert.Equal(Data, fixture.GuestAddressOf(chain.Readable[0]));
        Assert.Equal(Data + 0x1000, fixture.GuestAddressOf(chain.Readable[1]));
        Assert.Equal(Data + 0x2000, fixture.GuestAddressOf(chain.Writable[0]));
        Assert.Equal(Data + 0x3000, fixture.GuestAddressOf(chain.Writable[1]));
        Assert.Equal(116u, chain.ReadableBytes);
        Assert.Equal(201u, chain.WritableBytes);
        Assert.Equal(4, chain.Token.DescriptorCount);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_NotPublished_SeesNothing(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Add(7, Readable(16), Writable(8));

        Assert.False(fixture.Device.TryPop(out _));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void Push_BeforePublish_IsInvisible(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Offer(1);
        fixture.Offer(2);
        fixture.Device.TryPop(out DescriptorChain chain);
        fixture.Device.Push(chain.Token, 3);
        fixture.Device.TryPop(out chain);
        fixture.Device.Push(chain.Token, 4);

        Assert.False(fixture.Driver.TryTakeUsed(out _, out _));

        fixture.Device.Publish();

        Assert.Equal(1, fixture.Take(out uint written));
        Assert.Equal(3u, written);
        Assert.Equal(2, fixture.Take(out written));
        Assert.Equal(4u, written);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void Push_OutOfOrder_ReachesDriverInThatOrder(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Add(1, Readable(8), Writable(8));
        fixture.Add(2, Readable(8), Readable(8), Writable(8));
        fixture.Driver.Publish();
        fixture.Device.TryPop(out DescriptorChain chain);
        VirtQueueToken first = chain.Token;
        fixture.Device.TryPop(out chain);
        VirtQueueToken second = chain.Token;

        fixture.Device.Push(second, 20);
        fixture.Device.Push(first, 10);
        fixture.Device.Publish();

        Assert.Equal(2, fixture.Take(out uint written));
        Assert.Equal(20u, written);
        Assert.Equal(1, fixture.Take(out written));
        Assert.Equal(10u, written);
    }

    [Theory]
    [InlineData(VirtioFeatures.InOrder)]
    [InlineData(VirtioFeatures.InOrder | Packed)]
    public void Push_OutOfOrderUnderInOrder_WaitsForThoseBefore(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Offer(1);
        fixture.Offer(2);
        fixture.Device.TryPop(out DescriptorChain chain);
        VirtQueueToken first = chain.Token;
        fixture.Device.TryPop(out chain);
        fixture.Device.Push(chain.Token, 20);

        Assert.False(fixture.Device.Publish());
        Assert.False(fixture.Driver.TryTakeUsed(out _, out _));

        fixture.Device.Push(first, 10);
        Assert.True(fixture.Device.Publish());
        Assert.Equal(1, fixture.Take(out uint written));
        Assert.Equal(10u, written);
        Assert.Equal(2, fixture.Take(out written));
        Assert.Equal(20u, written);
        Assert.Equal(0, fixture.Device.InFlight);
    }

    [Theory]
    [InlineData(VirtioFeatures.IndirectDesc)]
    [InlineData(VirtioFeatures.IndirectDesc | Packed)]
    public void TryPop_IndirectTable_GivesItsBuffers(ulong features)
    {
        using QueueFixture fixture = new(size: 4, features: features);
        Assert.True(fixture.AddIndirect(9, Readable(1), Readable(2), Readable(3), Writable(4), Writable(5), Writable(6)));
        fixture.Driver.Publish();

        Assert.True(fixture.Device.TryPop(out DescriptorChain chain));

        Assert.Equal(3, chain.Readable.Length);
        Assert.Equal(3, chain.Writable.Length);
        Assert.Equal(6u, chain.ReadableBytes);
        Assert.Equal(15u, chain.WritableBytes);
        Assert.Equal(1, chain.Token.DescriptorCount);
        fixture.Device.Push(chain.Token, 15);
        fixture.Device.Publish();
        Assert.Equal(9, fixture.Take(out uint written));
        Assert.Equal(15u, written);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_EmptyBuffer_LeavesNoSegment(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Add(1, Readable(0), Readable(5), Writable(0));
        fixture.Driver.Publish();

        Assert.True(fixture.Device.TryPop(out DescriptorChain chain));

        Assert.Equal(1, chain.Readable.Length);
        Assert.Equal(0, chain.Writable.Length);
        Assert.Equal(3, chain.Token.DescriptorCount);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void Unpop_LastChain_ComesAgain(ulong features)
    {
        using QueueFixture fixture = new(size: 4, features: features);
        fixture.Offer(1);
        fixture.Serve();
        fixture.Take(out _);
        fixture.Offer(2);
        fixture.Offer(3);
        fixture.Device.TryPop(out DescriptorChain chain);
        fixture.Device.Push(chain.Token, 1);
        fixture.Device.TryPop(out chain);

        fixture.Device.Unpop(chain.Token);

        Assert.True(fixture.Device.HasAvailable);
        Assert.Equal(0, fixture.Device.InFlight);
        fixture.Serve(2);
        Assert.Equal(2, fixture.Take(out _));
        Assert.Equal(3, fixture.Take(out uint written));
        Assert.Equal(2u, written);
    }

    [Theory]
    [InlineData(0UL, (ushort)4)]
    [InlineData(Packed, (ushort)4)]
    [InlineData(Packed, (ushort)5)]
    [InlineData(Packed, (ushort)7)]
    [InlineData(VirtioFeatures.EventIdx, (ushort)4)]
    [InlineData(Packed | VirtioFeatures.EventIdx, (ushort)5)]
    public void Queue_RunsThroughIndexWrap_EveryChainComesBack(ulong features, ushort size)
    {
        using QueueFixture fixture = new(size, features);
        for (int i = 0; i < 70_000; i++)
        {
            fixture.Offer(i);
            fixture.Serve((uint)i + 1);
            Assert.Equal(i, fixture.Take(out uint written));
            Assert.Equal((uint)i + 1, written);
        }

        Assert.Equal(VirtQueueFault.None, fixture.Device.Fault);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void Save_ThenOpen_GoesOnWhereItStopped(ulong features)
    {
        using QueueFixture fixture = new(size: 4, features: features);
        for (int i = 0; i < 3; i++)
        {
            fixture.Offer(i);
            fixture.Serve();
            fixture.Take(out _);
        }

        VirtQueueState saved = fixture.Device.Save();
        fixture.Reopen(saved);
        fixture.Offer(42);
        fixture.Serve(9);

        Assert.Equal(saved.AvailCursor, saved.UsedCursor);
        Assert.Equal(42, fixture.Take(out uint written));
        Assert.Equal(9u, written);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void TryPop_LargestQueue_HoldsThatMany(ulong features)
    {
        using GuestMemory memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 0x400_0000 });
        DriverQueue driver = DriverQueue.Create(memory, 0x1_0000, 32768, features);
        VirtQueue device = driver.Open();
        int added = 0;
        while (driver.TryAdd([new DriverBuffer(0x300_0000, 4, true)], added))
            added++;
        driver.Publish();
        int popped = 0;
        while (device.TryPop(out DescriptorChain chain))
        {
            device.Push(chain.Token, 1);
            popped++;
        }

        Assert.True(device.Publish());
        Assert.Equal(32768, added);
        Assert.Equal(32768, popped);
        int taken = 0;
        while (driver.TryTakeUsed(out _, out _))
            taken++;
        Assert.Equal(32768, taken);
        Assert.Equal(VirtQueueFault.None, device.Fault);
    }

    [Fact]
    public void Decode_NotificationData_SplitsQueueOffsetAndWrap()
    {
        NotificationData data = NotificationData.Decode(0x8123_0005);

        Assert.Equal(new NotificationData(5, 0x123, true), data);
        Assert.Equal(0x8123, data.AvailCursor);
    }

    [Fact]
    public void CopyTo_AcrossSegments_FollowsAnyLayout()
    {
        using QueueFixture fixture = new();
        fixture.Memory.TryWrite(new GuestAddress(Data), "abcdefgh"u8);
        fixture.Add(1, Readable(3), Readable(1, 3), Readable(4, 4));
        fixture.Driver.Publish();
        fixture.Device.TryPop(out DescriptorChain chain);
        byte[] into = new byte[5];

        Assert.Equal(5, IoVecCopy.CopyTo(chain.Readable, 2, into));
        Assert.Equal("cdefg"u8.ToArray(), into);
        Assert.Equal(2, IoVecCopy.CopyTo(chain.Readable, 6, into));
    }

    [Fact]
    public void CopyFrom_LongerThanSegments_StopsAtTheirEnd()
    {
        using QueueFixture fixture = new();
        fixture.Add(1, Writable(3), Writable(2, 16));
        fixture.Driver.Publish();
        fixture.Device.TryPop(out DescriptorChain chain);
        byte[] seen = new byte[2];

        Assert.Equal(4, IoVecCopy.CopyFrom(chain.Writable, 1, "0123456"u8));
        fixture.Memory.TryRead(new GuestAddress(Data + 16), seen);
        Assert.Equal("23"u8.ToArray(), seen);
    }
}
