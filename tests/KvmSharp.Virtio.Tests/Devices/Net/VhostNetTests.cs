using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Net;
using KvmSharp.TestKit.Vhost;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>A network interface whose queues a vhost back end serves: what that is told, and when.</summary>
public sealed class VhostNetTests : IDisposable
{
    private const ulong Ring = VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc;
    private const ulong Multiqueue = Ring | 1UL << VIRTIO_NET_F_MQ | 1UL << VIRTIO_NET_F_CTRL_VQ;

    private readonly FakeVhost[] _vhost = [new(), new()];
    private readonly FakeNetBackend _host = new(queuePairs: 2);
    private VirtioDeviceBed? _bed;

    public void Dispose() => _bed?.Dispose();

    [Fact]
    public void Start_OnePair_DescribesBothVringsWholeBeforeTheyRun()
    {
        VirtioDeviceBed bed = Start(Ring);

        string[] calls = _vhost[0].TakeCalls();
        Assert.Equal([$"features {Ring | VirtioFeatures.Version1:x}", "memory"], calls[..2]);
        Assert.Equal(["0 size 16", "0 base 0", "0 areas", "0 error", "0 call", "0 kick", "0 start"], calls[2..9]);
        Assert.Equal(["1 size 16", "1 base 0", "1 areas", "1 error", "1 call", "1 kick", "1 start"], calls[9..]);
        Assert.Same(bed.Memory, _vhost[0].Memory);
        Assert.All(_vhost[0].Vrings, vring => Assert.True(vring.IsRunning));
        Assert.False(_host[0].IsOpen, "this program has the host's queue open");
    }

    [Fact]
    public unsafe void Start_Areas_AreWhereThisProgramSeesTheGuestsMemory()
    {
        VirtioDeviceBed bed = Start(Ring);

        DriverQueue driver = bed.Drivers[1];
        Assert.True(bed.Memory.TryGetPointer(new GuestAddress(driver.DriverArea), 1, out byte* avail));
        Assert.Equal((nint)avail, _vhost[0].Vrings[1].Areas.Driver.Host);
        Assert.Equal(driver.DeviceArea, _vhost[0].Vrings[1].Areas.Device.Guest.Value);
    }

    [Fact]
    public void Kick_Driver_ReachesTheBackEndAndNobodyElse()
    {
        VirtioDeviceBed bed = Start(Ring);
        EventFd kick = _vhost[0].Vrings[1].Kick!;
        kick.Drain();

        bed.Kick(1);

        Assert.True(kick.Drain());
    }

    [Theory]
    [InlineData(0, 0x1_0000_0000UL - 8)]
    [InlineData(1, VirtioDeviceBed.MemoryBytes - 2)]
    [InlineData(2, VirtioDeviceBed.MemoryBytes - 100)]
    [InlineData(2, 0x10_0001UL)]
    public void Start_AreaNotInMemoryOrMisaligned_NeedsResetAndNeverReachesTheBackEnd(int area, ulong address)
    {
        VirtioDeviceBed bed = CreateBed(Ring);
        bed.Device.Activate(bed.Context);
        _vhost[0].TakeCalls();
        VirtQueueConfig config = bed.Drivers[0].ToConfig();
        GuestAddress at = new(address);
        (config.DescriptorArea, config.DriverArea, config.DeviceArea) =
            (area == 0 ? at : config.DescriptorArea, area == 1 ? at : config.DriverArea, area == 2 ? at : config.DeviceArea);
        using EventFd kick = new();

        bed.Device.StartQueue(0, new VirtQueueBinding(0, config, kick, default, bed.Context));

        Assert.Single(bed.Interrupt.Faults);
        Assert.Empty(_vhost[0].TakeCalls());
        Assert.Null(bed.Device.StopQueue(0));
    }

    [Theory]
    [InlineData(Ring, 0x1234u, 0x1234, 0x1234)]
    [InlineData(Ring | VirtioFeatures.RingPacked, 0x8005_8007u, 0x8007, 0x8005)]
    public void StopQueue_AfterWork_GoesOnFromThere(ulong features, uint position, int avail, int used)
    {
        VirtioDeviceBed bed = Start(features);
        _vhost[0].Vrings[1].Position = position;

        VirtQueueState state = bed.Device.StopQueue(1)!.Value;

        Assert.Equal(new VirtQueueState((ushort)avail, (ushort)used), state);
        Assert.Null(_vhost[0].Vrings[1].Kick);
        _vhost[0].TakeCalls();
        bed.StartQueue(1, state);
        Assert.Contains($"1 base {position:x}", _vhost[0].TakeCalls());
        Assert.True(_vhost[0].Vrings[1].IsRunning);
    }

    [Fact]
    public void StopQueue_ByVhost_UserSpaceGoesOnWithoutLoss()
    {
        VirtioDeviceBed bed = Start(Ring);
        DriverQueue driver = bed.Drivers[1];
        Assert.True(driver.TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 64, false)], 7));
        driver.Publish();

        VirtQueue queue = driver.Open(bed.Device.StopQueue(1)!.Value);

        Assert.True(queue.TryPop(out DescriptorChain chain));
        queue.Push(chain.Token, 0);
        queue.Publish();
        Assert.True(driver.TryTakeUsed(out int cookie, out _));
        Assert.Equal(7, cookie);
    }

    [Fact]
    public void Call_VectorWithEventFd_GoesThereAndNotThroughUs()
    {
        VirtioDeviceBed bed = CreateBed(Ring);
        using EventFd vector = new();
        bed.Interrupt.QueueEventFd = vector;

        bed.Start();

        Assert.All(_vhost[0].Vrings, vring => Assert.Same(vector, vring.Call));
    }

    [Fact]
    public void Call_NoEventFd_IsPassedOn()
    {
        VirtioDeviceBed bed = Start(Ring);

        _vhost[0].Vrings[1].Call!.Signal();

        Assert.True(bed.Interrupt.WaitForQueue(1));
    }

    [Fact]
    public void Call_VectorComesAndGoes_FollowsItAndSaysOnceMore()
    {
        VirtioDeviceBed bed = Start(Ring);
        EventFd bounce = _vhost[0].Vrings[0].Call!;
        using EventFd vector = new();

        bed.Interrupt.QueueEventFd = vector;
        Assert.Same(vector, _vhost[0].Vrings[0].Call);
        Assert.True(bed.Interrupt.WaitForQueue(0));
        bed.Interrupt.QueueEventFd = null;
        Assert.Same(bounce, _vhost[0].Vrings[0].Call);
        Assert.True(bed.Interrupt.WaitForQueue(0));
    }

    [Fact]
    public void Call_BackEndRefusesTheNewWay_NeedsReset()
    {
        VirtioDeviceBed bed = Start(Ring);
        _vhost[0].Failing = "0 call";
        using EventFd vector = new();

        bed.Interrupt.QueueEventFd = vector;

        Assert.Single(bed.Interrupt.Faults);
        bed.Interrupt.QueueEventFd = null;
    }

    [Fact]
    public void Error_BrokenRing_NeedsReset()
    {
        VirtioDeviceBed bed = Start(Ring);

        _vhost[0].Vrings[1].Error!.Signal();

        Assert.True(bed.Interrupt.WaitForFault());
    }

    [Fact]
    public void StopQueue_BackEndLost_NeedsReset()
    {
        VirtioDeviceBed bed = Start(Ring);
        _vhost[0].IsLost = true;

        Assert.NotNull(bed.Device.StopQueue(0));

        Assert.Single(bed.Interrupt.Faults);
    }

    [Theory]
    [InlineData("0 size")]
    [InlineData("0 base")]
    [InlineData("0 areas")]
    [InlineData("0 kick")]
    [InlineData("0 start")]
    public void StartQueue_BackEndRefuses_ThrowsAndLeavesNothing(string failing)
    {
        VirtioDeviceBed bed = CreateBed(Ring);
        bed.Device.Activate(bed.Context);
        _vhost[0].Failing = failing;

        Assert.Throws<LinuxException>(() => bed.StartQueue(0, default));

        Assert.Equal("0 stop", _vhost[0].TakeCalls()[^1]);
        Assert.Null(bed.Device.StopQueue(0));
        _vhost[0].Failing = null;
        bed.StartQueue(0, default);
        Assert.True(_vhost[0].Vrings[0].IsRunning);
    }

    [Fact]
    public void StartQueue_TapIsGone_LeavesTheDeviceUsable()
    {
        VirtioDeviceBed bed = CreateBed(Ring);
        bed.Device.Activate(bed.Context);
        _vhost[0].Failing = "0 start";
        _host.Loss = "tap t0 is gone";

        bed.StartQueue(0, new VirtQueueState(3, 3));

        Assert.Empty(bed.Interrupt.Faults);
        Assert.Equal(new VirtQueueState(3, 3), bed.Device.StopQueue(0));
    }

    [Fact]
    public void Pairs_SecondOne_RunsOnlyWhileTheDriverUsesIt()
    {
        VirtioDeviceBed bed = Start(Multiqueue);
        Assert.All(_vhost[1].Vrings, vring => Assert.False(vring.IsRunning));

        Assert.Equal(VIRTIO_NET_OK, bed.SetPairs(2));
        Assert.All(_vhost[1].Vrings, vring => Assert.True(vring.IsRunning));
        Assert.Equal(2, _host.ActivePairs);
        _vhost[1].Vrings[0].Position = 9;
        Assert.Equal(VIRTIO_NET_OK, bed.SetPairs(1));
        Assert.All(_vhost[1].Vrings, vring => Assert.False(vring.IsRunning));
        Assert.Equal(new VirtQueueState(9, 9), bed.Device.StopQueue(2));
    }

    [Fact]
    public void Pairs_SecondOneCannotRun_TheCommandFails()
    {
        VirtioDeviceBed bed = Start(Multiqueue);
        _vhost[1].Failing = "1 start";

        Assert.Equal(VIRTIO_NET_ERR, bed.SetPairs(2));

        Assert.True(_vhost[0].Vrings[0].IsRunning);
    }

    [Fact]
    public void Features_KernelWithoutPackedAndMergeable_NeitherIsOffered()
    {
        FakeVhost[] vhost = [new() { Features = ~(VirtioFeatures.RingPacked | 1UL << VIRTIO_NET_F_MRG_RXBUF) }, new()];
        using EventLoop loop = new(new EventLoopOptions { Name = "net" });
        using VirtioNetDevice device = new(Options, _host, [loop], vhost);

        Assert.Equal(0UL, device.Identity.DeviceFeatures & 1UL << VIRTIO_NET_F_MRG_RXBUF);
        Assert.Equal(0UL, device.Identity.RingFeatures & VirtioFeatures.RingPacked);
        Assert.Equal(VirtioFeatures.EventIdx, device.Identity.RingFeatures & VirtioFeatures.EventIdx);
        Assert.NotEqual(0UL, device.Identity.DeviceFeatures & 1UL << VIRTIO_NET_F_CSUM);
    }

    [Fact]
    public void Dispose_Device_LeavesTheBackEndsForTheNextBoard()
    {
        Start(Ring);

        _bed!.Dispose();
        _bed = null;

        Assert.All(_vhost, vhost => Assert.False(vhost.IsDisposed));
        Assert.All(_vhost[0].Vrings, vring => Assert.Null(vring.Call));
    }

    [Fact]
    public void Call_HundredThousandPassedOn_AllocateNothing()
    {
        VirtioDeviceBed bed = Start(Ring);

        Assert.Equal(0, AllocationProbe.OnLoop(bed.Loop, () => Bounce(bed, 100_000)));
    }

    private static VirtioNetOptions Options => new() { Mac = new MacAddress(0x52_54_00_12_34_56), LinkCheckNs = 0 };

    private void Bounce(VirtioDeviceBed bed, int count)
    {
        EventFd call = _vhost[0].Vrings[0].Call!;
        for (int i = 0; i < count; i++)
        {
            call.Signal();
            Assert.True(bed.Interrupt.WaitForQueue(0));
        }
    }

    private VirtioDeviceBed Start(ulong features)
    {
        CreateBed(features).Start();
        return _bed!;
    }

    private VirtioDeviceBed CreateBed(ulong features) => _bed = new VirtioDeviceBed(loop => new VirtioNetDevice(Options, _host, [loop], _vhost), features);
}
