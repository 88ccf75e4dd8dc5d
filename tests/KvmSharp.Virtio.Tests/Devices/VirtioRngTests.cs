using KvmSharp.Core.Events;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Rng;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Devices;

public sealed class VirtioRngTests : VirtioDeviceContract
{
    protected override IVirtioDevice Create(EventLoop loop) => new VirtioRng(loop, new VirtioRngOptions { Source = new CountingSource() });

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Request_Buffer_IsFilledWhole(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        bed.Start();
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 10, true), new DriverBuffer(VirtioDeviceBed.Data + 100, 6, true)], 5);
        bed.Submit(0);

        Assert.Equal(5, bed.Take(0, out uint written));
        Assert.Equal(16u, written);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0], bed.ReadMemory(VirtioDeviceBed.Data, 11));
        Assert.Equal([11, 12, 13, 14, 15, 16, 0], bed.ReadMemory(VirtioDeviceBed.Data + 100, 7));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Request_MoreThanOneWakeUpServes_AllComeBack(ulong features)
    {
        using VirtioDeviceBed bed = new(Create, features, queueSize: 64);
        bed.Start();
        for (int i = 0; i < 60; i++)
            Assert.True(bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 1, true)], i));
        bed.Submit(0);

        for (int i = 0; i < 60; i++)
            Assert.Equal(i, bed.Take(0, out _));
    }

    [Fact]
    public void Request_OnlyReadableBuffers_ComesBackEmpty()
    {
        using VirtioDeviceBed bed = CreateBed(0);
        bed.Start();
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 10, false)], 5);
        bed.Submit(0);

        Assert.Equal(5, bed.Take(0, out uint written));
        Assert.Equal(0u, written);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void RateLimit_Exhausted_GoesOnInTheNextPeriod(ulong features)
    {
        VirtioRngOptions options = new() { Source = new CountingSource(), MaxBytes = 8, PeriodMs = 20 };
        using VirtioDeviceBed bed = new(loop => new VirtioRng(loop, options), features);
        bed.Start();
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 6, true)], 1);
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 6, true)], 2);
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 6, true)], 3);
        bed.Submit(0);

        Assert.Equal(1, bed.Take(0, out uint written));
        Assert.Equal(6u, written);
        Assert.Equal(2, bed.Take(0, out written));
        Assert.Equal(2u, written);
        Assert.Equal(3, bed.Take(0, out written));
        Assert.Equal(6u, written);
    }

    [Fact]
    public void StopQueue_WhileRateLimited_LeavesTheRequestForTheNextRun()
    {
        VirtioRngOptions options = new() { Source = new CountingSource(), MaxBytes = 4, PeriodMs = 3_600_000 };
        using VirtioDeviceBed bed = new(loop => new VirtioRng(loop, options), 0);
        bed.Start();
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 4, true)], 1);
        bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 4, true)], 2);
        bed.Submit(0);
        Assert.Equal(1, bed.Take(0, out _));

        VirtQueueState? state = bed.Device.StopQueue(0);
        Assert.Equal(new VirtQueueState(1, 1), state);
        bed.StartQueue(0, state!.Value);

        Assert.Equal(2, bed.Take(0, out uint written));
        Assert.Equal(4u, written);
    }

    [Fact]
    public void HostEntropySource_LongBuffer_FillsAllOfIt()
    {
        byte[] bytes = new byte[5000];

        Assert.Equal(5000, new HostEntropySource().Fill(bytes));
        Assert.True(bytes.Distinct().Count() > 200);
        Assert.Contains(bytes[^16..], b => b != 0);
    }

    private sealed class CountingSource : IEntropySource
    {
        private byte _next;

        public int Fill(Span<byte> into)
        {
            foreach (ref byte b in into)
                b = ++_next;
            return into.Length;
        }
    }
}
