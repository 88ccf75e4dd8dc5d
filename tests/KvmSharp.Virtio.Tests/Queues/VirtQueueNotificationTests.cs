using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueNotificationTests
{
    private const ulong Packed = VirtioFeatures.RingPacked;
    private const ulong EventIdx = VirtioFeatures.EventIdx;

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void Publish_DriverArmed_WantsInterrupt(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        Assert.True(fixture.Driver.TryEnableInterrupts());
        fixture.Offer(1);

        Assert.True(fixture.Device.WantsInterrupt);
        Assert.True(fixture.Serve());
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void Publish_DriverSuppressed_WantsNone(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Driver.DisableInterrupts();
        fixture.Offer(1);

        Assert.False(fixture.Device.WantsInterrupt);
        Assert.False(fixture.Serve());
        Assert.False(fixture.Driver.TryEnableInterrupts());
    }

    [Theory]
    [InlineData(EventIdx)]
    [InlineData(Packed | EventIdx)]
    public void Publish_EventPassedBefore_WantsNoSecondInterrupt(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Driver.TryEnableInterrupts();
        fixture.Offer(1);
        fixture.Offer(2);

        Assert.True(fixture.Serve());
        Assert.False(fixture.Serve());
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    public void Publish_FlagsOnly_WantsInterruptEachTime(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Offer(1);
        fixture.Offer(2);

        Assert.True(fixture.Serve());
        Assert.True(fixture.Serve());
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void Publish_NothingStaged_WantsNone(ulong features)
    {
        using QueueFixture fixture = new(features: features);

        Assert.False(fixture.Device.Publish());
    }

    [Theory]
    [InlineData(EventIdx)]
    [InlineData(Packed | EventIdx)]
    public void Publish_WholeRingUsedBetweenChecks_WantsInterrupt(ulong features)
    {
        using QueueFixture fixture = new(size: 4, features: features);
        fixture.Driver.TryEnableInterrupts();
        fixture.Offer(1);
        fixture.Offer(2);
        fixture.Device.TryPop(out DescriptorChain chain);
        fixture.Device.Push(chain.Token, 1);
        fixture.Device.TryPop(out chain);
        fixture.Device.Push(chain.Token, 1);

        Assert.True(fixture.Device.Publish());
    }

    [Theory]
    [InlineData(EventIdx, (ushort)4)]
    [InlineData(Packed | EventIdx, (ushort)4)]
    [InlineData(Packed | EventIdx, (ushort)6)]
    public void Publish_AtEveryPosition_WantsExactlyOneInterruptPerArming(ulong features, ushort size)
    {
        using QueueFixture fixture = new(size, features);
        for (int i = 0; i < 70_000; i++)
        {
            Assert.True(fixture.Driver.TryEnableInterrupts());
            fixture.Offer(i);
            fixture.Offer(i);
            Assert.True(fixture.Serve());
            Assert.False(fixture.Serve());
            fixture.Take(out _);
            fixture.Take(out _);
        }
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void TryEnableNotifications_Empty_ArmsTheDriver(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Device.DisableNotifications();
        fixture.Offer(1);
        fixture.Serve();

        Assert.True(fixture.Device.TryEnableNotifications());
        Assert.True(fixture.Offer(2));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void TryEnableNotifications_MoreArrived_SaysGoRound(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Device.DisableNotifications();
        fixture.Offer(1);

        Assert.False(fixture.Device.TryEnableNotifications());
        fixture.Serve();
        Assert.True(fixture.Device.TryEnableNotifications());
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void DisableNotifications_DriverAdds_NeedsNoKick(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        fixture.Device.DisableNotifications();

        Assert.False(fixture.Offer(1));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(EventIdx)]
    [InlineData(Packed)]
    [InlineData(Packed | EventIdx)]
    public void DisableNotifications_ArmedJustBefore_NeedsNoKick(ulong features)
    {
        using QueueFixture fixture = new(features: features);
        Assert.True(fixture.Device.TryEnableNotifications());
        fixture.Device.DisableNotifications();

        Assert.False(fixture.Offer(1));
        Assert.False(fixture.Offer(2));
        Assert.False(fixture.Device.TryEnableNotifications());
    }

    [Fact]
    public void DisableNotifications_EventIdxAfterArmingPassed_NeedsNoKick()
    {
        using QueueFixture fixture = new(features: EventIdx);
        fixture.Device.TryEnableNotifications();
        Assert.True(fixture.Offer(1));
        fixture.Device.DisableNotifications();

        Assert.False(fixture.Offer(2));
    }

    [Theory]
    [InlineData(EventIdx, (ushort)4)]
    [InlineData(Packed | EventIdx, (ushort)4)]
    [InlineData(Packed | EventIdx, (ushort)5)]
    public void TryEnableNotifications_AtEveryPosition_GetsExactlyOneKick(ulong features, ushort size)
    {
        using QueueFixture fixture = new(size, features);
        for (int i = 0; i < 70_000; i++)
        {
            Assert.True(fixture.Device.TryEnableNotifications());
            Assert.True(fixture.Offer(i));
            Assert.False(fixture.Offer(i));
            fixture.Serve();
            fixture.Serve();
            fixture.Take(out _);
            fixture.Take(out _);
        }
    }
}
