using KvmSharp.Virtio.Queues;
using static KvmSharp.Virtio.Tests.Queues.QueueFixture;

namespace KvmSharp.Virtio.Tests.Queues;

public sealed class VirtQueueAllocationTests
{
    private const int Batch = 8;

    [Theory]
    [InlineData(VirtioFeatures.EventIdx)]
    [InlineData(VirtioFeatures.InOrder)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder)]
    public void Serve_MillionRequests_AllocatesNothing(ulong features)
    {
        using QueueFixture fixture = new(size: 32, features: features);
        ServeBatches(fixture, 5_000);

        long allocated = ServeBatches(fixture, 1_000_000 / Batch);

        Assert.Equal(0, allocated);
    }

    /// <returns>Bytes allocated by the device side; the driver model allocates as it likes.</returns>
    private static long ServeBatches(QueueFixture fixture, int batches)
    {
        long allocated = 0;
        TestKit.Virtio.DriverBuffer[] buffers = [Readable(16), Readable(64, 64), Writable(1, 256)];
        for (int batch = 0; batch < batches; batch++)
        {
            for (int i = 0; i < Batch; i++)
                fixture.Driver.TryAdd(buffers, i);
            fixture.Driver.Publish();
            long before = GC.GetAllocatedBytesForCurrentThread();
            int served = ServeOnce(fixture.Device);
            allocated += GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(Batch, served);
            while (fixture.Driver.TryTakeUsed(out _, out _))
            {
            }
        }

        return allocated;
    }

    private static int ServeOnce(VirtQueue queue)
    {
        int served = 0;
        do
        {
            queue.DisableNotifications();
            while (queue.TryPop(out DescriptorChain chain))
            {
                queue.Push(chain.Token, chain.WritableBytes);
                served++;
            }

            queue.Publish();
        }
        while (!queue.TryEnableNotifications());
        return served;
    }
}
