using KvmSharp.Core.Events;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Rng;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Virtio.Tests.Transport;

/// <summary>A whole device, from the driver's registers to used buffers, and reset under load.</summary>
public sealed class RngOnTransportTests
{
    private const ulong Data = 0x80_0000;

    [Theory]
    [InlineData(true, 0UL)]
    [InlineData(true, VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    [InlineData(false, VirtioFeatures.EventIdx)]
    [InlineData(false, VirtioFeatures.RingPacked)]
    public void Requests_ResetInFlightAHundredTimes_AlwaysWorkAgain(bool pci, ulong features)
    {
        using EventLoop loop = new(new EventLoopOptions { Name = "test-io", PollMaxNs = 0 });
        loop.Start();
        using TransportBed bed = new(pci, new VirtioTransportOptions { RingFeatures = VirtioFeatures.Ring }, new VirtioRng(loop));
        for (int round = 0; round < 100; round++)
        {
            DriverQueue queue = bed.Start(features | VirtioFeatures.Version1);
            for (int i = 0; i < 6; i++)
                Assert.True(queue.TryAdd([new DriverBuffer(Data, 64, true)], i));
            queue.Publish();
            bed.Driver.KickByExit(0);
            if (round % 4 == 0)
                Assert.True(SpinWait.SpinUntil(() => queue.TryTakeUsed(out _, out _), TimeSpan.FromSeconds(20)), $"round {round}");
            bed.Driver.Status = 0;
        }
    }
}
