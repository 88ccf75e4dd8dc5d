using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Queues;

/// <summary>
/// A driver thread against a device thread, both sleeping whenever they are told that they may: a missing barrier shows as a
/// wrong payload, or as a wake-up that never comes.
/// </summary>
public sealed class VirtQueueConcurrencyTests
{
    private const int Chains = 60_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void TwoThreads_SleepingOnNotifications_LoseNothing(ulong features)
    {
        using QueueFixture fixture = new(size: 8, features: features);
        using AutoResetEvent kick = new(false);
        using AutoResetEvent interrupt = new(false);
        bool stop = false;
        string? failure = null;
        Thread device = new(() =>
        {
            try
            {
                while (!Volatile.Read(ref stop))
                {
                    Serve(fixture.Device, interrupt);
                    if (!kick.WaitOne(Patience))
                        throw new TimeoutException("the device was never kicked");
                }
            }
            catch (Exception exception)
            {
                failure = exception.ToString();
            }
        }) { Name = "test-device" };
        device.Start();

        Drive(fixture, kick, interrupt);

        Volatile.Write(ref stop, true);
        kick.Set();
        Assert.True(device.Join(Patience));
        Assert.Null(failure);
        Assert.Equal(VirtQueueFault.None, fixture.Device.Fault);
    }

    private static unsafe void Serve(VirtQueue queue, AutoResetEvent interrupt)
    {
        do
        {
            queue.DisableNotifications();
            while (queue.TryPop(out DescriptorChain chain))
            {
                ulong value = *(ulong*)chain.Readable[0].Base;
                *(ulong*)chain.Writable[0].Base = value * 3;
                queue.Push(chain.Token, 8);
            }

            if (queue.Publish())
                interrupt.Set();
        }
        while (!queue.TryEnableNotifications());
    }

    private static unsafe void Drive(QueueFixture fixture, AutoResetEvent kick, AutoResetEvent interrupt)
    {
        byte* data = fixture.Memory.Regions[0].Pointer + QueueFixture.Data;
        DriverQueue driver = fixture.Driver;
        Stack<int> slots = new(Enumerable.Range(0, 4));
        ulong[] sent = new ulong[4];
        int done = 0;
        ulong next = 1;
        while (done < Chains)
        {
            while (slots.Count > 0)
            {
                int slot = slots.Pop();
                sent[slot] = next++;
                *(ulong*)(data + slot * 128) = sent[slot];
                ulong address = QueueFixture.Data + (ulong)slot * 128;
                Assert.True(driver.TryAdd([new DriverBuffer(address, 8, false), new DriverBuffer(address + 64, 8, true)], slot));
            }

            if (driver.Publish())
                kick.Set();
            if (driver.TryEnableInterrupts())
                Assert.True(interrupt.WaitOne(Patience), $"no interrupt after {done} chains");
            driver.DisableInterrupts();
            while (driver.TryTakeUsed(out int slot, out uint written))
            {
                Assert.Equal(8u, written);
                Assert.Equal(sent[slot] * 3, *(ulong*)(data + slot * 128 + 64));
                slots.Push(slot);
                done++;
            }
        }
    }
}
