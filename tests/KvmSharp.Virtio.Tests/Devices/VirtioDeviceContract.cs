using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Tests.Devices;

/// <summary>What every virtio device must do, whatever it is. A device's test class derives from this.</summary>
public abstract class VirtioDeviceContract
{
    private const ulong Split = VirtioFeatures.IndirectDesc | VirtioFeatures.EventIdx;
    private const ulong Packed = Split | VirtioFeatures.RingPacked;

    protected abstract IVirtioDevice Create(EventLoop loop);

    protected VirtioDeviceBed CreateBed(ulong features) => new(Create, features);

    [Fact]
    public void Identity_Always_IsComplete()
    {
        using VirtioDeviceBed bed = CreateBed(Split);

        Assert.NotEqual(0u, bed.Device.Identity.DeviceId);
        Assert.NotEmpty(bed.Device.Identity.QueueSizes);
        Assert.All(bed.Device.Identity.QueueSizes, size => Assert.InRange(size, 1, VirtQueueConfig.SizeLimit));
        Assert.Equal(0UL, bed.Device.Identity.DeviceFeatures & 0x0003_ffff_ff00_0000UL);
    }

    [Fact]
    public void StopQueue_NeverStarted_ReturnsNull()
    {
        using VirtioDeviceBed bed = CreateBed(Split);

        for (int i = 0; i < bed.Drivers.Length; i++)
            Assert.Null(bed.Device.StopQueue(i));
    }

    [Theory]
    [InlineData(Split)]
    [InlineData(Packed)]
    public void StopQueue_Twice_GivesItsStateOnce(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        bed.Start();

        for (int i = 0; i < bed.Drivers.Length; i++)
        {
            Assert.NotNull(bed.Device.StopQueue(i));
            Assert.Null(bed.Device.StopQueue(i));
        }
    }

    [Theory]
    [InlineData(Split)]
    [InlineData(Packed)]
    public void StartQueue_FromTheStateItStoppedIn_StopsInTheSame(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        bed.Start();

        for (int i = 0; i < bed.Drivers.Length; i++)
        {
            VirtQueueState first = bed.Device.StopQueue(i)!.Value;
            bed.StartQueue(i, first);
            Assert.Equal(first, bed.Device.StopQueue(i));
        }

        Assert.Empty(bed.Interrupt.Faults);
    }

    [Theory]
    [InlineData(Split)]
    [InlineData(Packed)]
    public void StartQueue_HostileState_NeedsResetAndDoesNotRun(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        bed.Device.Activate(bed.Context);

        bed.StartQueue(0, new VirtQueueState(0x1234, 0x7fff));

        Assert.Single(bed.Interrupt.Faults);
        Assert.Null(bed.Device.StopQueue(0));
    }

    [Theory]
    [InlineData(Split)]
    [InlineData(Packed)]
    public void Reset_AfterWork_AllowsTheNextDriver(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        for (int round = 0; round < 3; round++)
        {
            bed.Start();
            for (int i = 0; i < bed.Drivers.Length; i++)
                bed.Device.StopQueue(i);
            bed.Device.Reset();
            bed.Device.Reset();
        }

        Assert.Empty(bed.Interrupt.Faults);
        Assert.Null(bed.LoopFailure);
    }

    [Theory]
    [InlineData(Split)]
    [InlineData(Packed)]
    public void Queue_MalformedChain_NeedsResetOnce(ulong features)
    {
        for (int i = 0; i < CountQueues(); i++)
        {
            using VirtioDeviceBed bed = CreateBed(features);
            bed.Start();
            bed.Drivers[i].TryAdd([new DriverBuffer(ulong.MaxValue - 100, 64, false), new DriverBuffer(ulong.MaxValue - 100, 64, true)], 1);
            bed.Submit(i);

            Assert.True(bed.Interrupt.WaitForFault(), $"queue {i} did not report");
            bed.Kick(i);
            bed.Device.StopQueue(i);
            Assert.Single(bed.Interrupt.Faults);
        }
    }

    [Theory]
    [InlineData(Split, 1)]
    [InlineData(Packed, 2)]
    public void Queue_RandomRings_LeaveDeviceAlive(ulong features, int seed)
    {
        Random random = new(seed);
        using VirtioDeviceBed bed = CreateBed(features);
        byte[] noise = new byte[0x1000];
        for (int round = 0; round < 30; round++)
        {
            foreach (DriverQueue driver in bed.Drivers)
            {
                random.NextBytes(noise);
                bed.WriteMemory(driver.DescriptorArea, noise.AsSpan(0, 16 * driver.Size));
                bed.WriteMemory(driver.DriverArea, noise.AsSpan(1024, 4));
                bed.WriteMemory(driver.DriverArea + 2, [(byte)random.Next(driver.Size + 1), 0]);
                for (int i = 0; i < driver.Size; i++)
                    PlausibleDescriptor(bed, driver, i, random, (features & VirtioFeatures.RingPacked) != 0);
            }

            bed.Start();
            for (int i = 0; i < bed.Drivers.Length; i++)
                bed.Device.StopQueue(i);
            bed.Device.Reset();
        }

        Assert.Null(bed.LoopFailure);
    }

    [Fact]
    public void Config_EveryOffset_CanBeReadAndWritten()
    {
        using VirtioDeviceBed bed = CreateBed(Split);
        byte[] data = new byte[8];
        for (uint offset = 0; offset < bed.Device.Identity.ConfigLength; offset++)
        {
            int length = (int)Math.Min(8, bed.Device.Identity.ConfigLength - offset);
            bed.Device.ReadConfig(offset, data.AsSpan(0, length));
            bed.Device.WriteConfig(offset, data.AsSpan(0, length));
        }

        Assert.Empty(bed.Interrupt.Faults);
    }

    private static void PlausibleDescriptor(VirtioDeviceBed bed, DriverQueue driver, int index, Random random, bool packed)
    {
        ulong at = driver.DescriptorArea + 16UL * (uint)index;
        bed.Memory.TryWrite(new GuestAddress(at), VirtioDeviceBed.Data + (ulong)random.Next(0x10000));
        bed.Memory.TryWrite(new GuestAddress(at + 8), random.Next(random.Next(4) == 0 ? int.MaxValue : 4096));
        ushort flags = (ushort)random.Next(4);
        ushort other = (ushort)random.Next(driver.Size);
        bed.Memory.TryWrite(new GuestAddress(at + 12), packed ? other : flags);
        bed.Memory.TryWrite(new GuestAddress(at + 14), packed ? (ushort)(flags | 0x80) : other);
        if (!packed)
            bed.Memory.TryWrite(new GuestAddress(driver.DriverArea + 4 + 2UL * (uint)index), (ushort)random.Next(driver.Size));
    }

    private int CountQueues()
    {
        using VirtioDeviceBed bed = CreateBed(Split);
        return bed.Drivers.Length;
    }
}
