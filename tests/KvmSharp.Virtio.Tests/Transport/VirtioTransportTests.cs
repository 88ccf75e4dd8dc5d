using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Virtio.Tests.Transport;

/// <summary>What is the same on virtio-pci and virtio-mmio.</summary>
public sealed class VirtioTransportTests
{
    private const ulong Version1 = VirtioFeatures.Version1;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void OfferedFeatures_AreDeviceAndTransport(bool pci)
    {
        using TransportBed bed = new(pci);

        Assert.Equal(0x15UL | Version1 | VirtioFeatures.IndirectDesc | VirtioFeatures.EventIdx | VirtioFeatures.RingReset, bed.Driver.OfferedFeatures);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Negotiate_WithoutVersion1OrBeyondOffer_IsRefused(bool pci)
    {
        using TransportBed bed = new(pci);

        Assert.False(bed.Driver.Negotiate(0x1));
        Assert.False(bed.Driver.Negotiate(Version1 | 0x2));
        Assert.True(bed.Driver.Negotiate(Version1 | 0x1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void DriverOk_EnabledQueues_AreStartedAfterActivation(bool pci)
    {
        using TransportBed bed = new(pci);

        bed.Start();

        Assert.Equal(["reset", "activate 100000000", "start 0 size 8 at 0"], bed.Recorder.Calls);
        Assert.True(bed.Driver.IsEnabled(0));
        Assert.False(bed.Driver.IsEnabled(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void DriverOk_BeforeFeaturesOk_DoesNotActivate(bool pci)
    {
        using TransportBed bed = new(pci);

        bed.Driver.Status = VirtioTransportDriver.Acknowledge | VirtioTransportDriver.DriverOk;

        Assert.Equal(VirtioTransportDriver.Acknowledge, bed.Driver.Status);
        Assert.Null(bed.Recorder.Context);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Reset_Running_StopsQueuesAndForgetsAll(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Start();
        bed.Recorder.Calls.Clear();

        bed.Driver.Status = 0;

        Assert.Equal(["stop 0", "reset"], bed.Recorder.Calls);
        Assert.Equal(0, bed.Driver.Status);
        Assert.False(bed.Driver.IsEnabled(0));
        Assert.Equal(0, bed.Doorbells.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Queue_Unknown_HasSizeZeroAndIgnoresWrites(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Driver.Negotiate(Version1);

        Assert.Equal(8, bed.Driver.GetMaxSize(0));
        Assert.Equal(256, bed.Driver.GetMaxSize(1));
        Assert.Equal(0, bed.Driver.GetMaxSize(2));
        bed.Driver.SetUpQueue(2, DriverQueue.Create(bed.Memory, 0x1_0000, 8, 0));
        bed.Driver.SetDriverOk();
        Assert.Empty(bed.Recorder.Running);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void EnabledQueue_Reprogrammed_KeepsItsConfiguration(bool pci)
    {
        using TransportBed bed = new(pci);
        DriverQueue queue = bed.Start();

        bed.Driver.SetUpQueue(0, DriverQueue.Create(bed.Memory, 0x10_0000, 4, 0));

        Assert.Equal(8, bed.Recorder.Running[0].Config.Size);
        Assert.Equal(queue.DescriptorArea, bed.Recorder.Running[0].Config.DescriptorArea.Value);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ResetQueue_Negotiated_StopsItAndLetsItStartAnew(bool pci)
    {
        using TransportBed bed = new(pci);
        DriverQueue queue = bed.Start(Version1 | VirtioFeatures.RingReset);
        bed.Recorder.Calls.Clear();

        bed.Driver.ResetQueue(0);
        Assert.False(bed.Driver.IsEnabled(0));
        bed.Driver.SetUpQueue(0, queue);

        Assert.Equal(["stop 0", "start 0 size 8 at 0"], bed.Recorder.Calls);
        Assert.True(bed.Recorder.Running[0].IsFresh);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ResetQueue_NotNegotiated_IsIgnored(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Start();

        bed.Driver.ResetQueue(0);

        Assert.True(bed.Driver.IsEnabled(0));
        Assert.Single(bed.Recorder.Running);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pause_ThenResume_GoesOnFromTheSavedCursors(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Start();
        bed.Recorder.Calls.Clear();

        bed.Pause();
        bed.Pause();
        bed.Resume();

        Assert.Equal(["stop 0", "start 0 size 8 at 5"], bed.Recorder.Calls);
        Assert.False(bed.Recorder.Running[0].IsFresh);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Kick_WithDoorbell_SignalsWithoutAnExit(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Start();
        bed.Recorder.Running[0].Kick.Drain();
        (ulong address, uint length, uint value) = bed.Driver.GetNotification(0);

        Assert.True(bed.Doorbells.Ring(address, length, value));
        Assert.True(bed.Recorder.Running[0].Kick.Drain());
        Assert.False(bed.Doorbells.Ring(address + 8, length, value + 1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Kick_IoEventFdOff_SignalsOnTheVcpuThread(bool pci)
    {
        using TransportBed bed = new(pci, new VirtioTransportOptions { IoEventFd = false });
        bed.Start();
        bed.Recorder.Running[0].Kick.Drain();
        bed.Driver.KickByExit(1);
        Assert.False(bed.Recorder.Running[0].Kick.Drain());

        bed.Driver.KickByExit(0);

        Assert.Equal(0, bed.Doorbells.Count);
        Assert.True(bed.Recorder.Running[0].Kick.Drain());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Config_Accesses_AreBounded(bool pci)
    {
        using TransportBed bed = new(pci);

        Assert.Equal(0x0403_0201u, bed.Driver.Read(bed.Driver.ConfigAddress, 4));
        Assert.Equal(10u, bed.Driver.Read(bed.Driver.ConfigAddress + 9, 1));
        bed.Driver.Write(bed.Driver.ConfigAddress + 8, 0xbbaa, 2);
        Assert.Equal([0xaa, 0xbb], bed.Recorder.Config[8..]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Config_PastItsEnd_IsBytewiseAtMost(bool pci)
    {
        using TransportBed bed = new(pci);

        Assert.Equal(0xffu, bed.Driver.Read(bed.Driver.ConfigAddress + 10, 1));
        bed.Driver.Write(bed.Driver.ConfigAddress + 10, 0x55, 1);
        bed.Driver.Write(bed.Driver.ConfigAddress + 0xff0, 0x55, 4);

        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], bed.Recorder.Config);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Generation_ConfigChanges_Differs(bool pci)
    {
        using TransportBed bed = new(pci);
        uint first = bed.Driver.Generation;
        Assert.Equal(first, bed.Driver.Generation);

        bed.Recorder.Config[3]++;

        Assert.NotEqual(first, bed.Driver.Generation);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void NeedsReset_Running_SetsStatusAndTellsOnce(bool pci)
    {
        using TransportBed bed = new(pci);
        bed.Start();

        bed.Recorder.Context!.NeedsReset("test");
        bed.Recorder.Context.NeedsReset("test");

        Assert.NotEqual(0, bed.Driver.Status & VirtioTransportDriver.NeedsReset);
        bed.Driver.Status = 0;
        Assert.Equal(0, bed.Driver.Status);
        Assert.True(bed.Driver.Negotiate(Version1));
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 2)]
    public void Registers_RandomAccesses_NeverThrow(bool pci, int seed)
    {
        using TransportBed bed = new(pci);
        Random random = new(seed);
        ulong start = pci ? bed.PciDriver.Common : TransportBed.MmioAddress;
        byte[] data = new byte[8];
        for (int i = 0; i < 50_000; i++)
        {
            ulong offset = (ulong)random.Next(random.Next(2) == 0 ? 0x120 : 0x1_0000) & ~(ulong)random.Next(4);
            int length = 1 << random.Next(4);
            random.NextBytes(data);
            if (random.Next(2) == 0)
                data.AsSpan(1).Clear();
            if (random.Next(2) == 0)
                bed.Bus.Write(start + offset, data.AsSpan(0, length));
            else
                bed.Bus.Read(start + offset, data.AsSpan(0, length));
        }

        bed.Driver.Status = 0;
        Assert.True(bed.Driver.Negotiate(Version1));
    }
}
