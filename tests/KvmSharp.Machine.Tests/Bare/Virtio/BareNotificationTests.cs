using KvmSharp.Abi.Virtio;
using KvmSharp.Machine.Config;
using static KvmSharp.Abi.Virtio.VirtioBlk;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>What requests cost in exits: the same payload with few and with many requests.</summary>
public sealed class BareNotificationTests : BareVirtioFixture
{
    private const uint Requests = 0x30_0000, Data = 0x60_0000, SectorLength = 512;
    private const int Depth = 4, Few = 50, Many = 1050, ImageSectors = 64;

    [Theory]
    [InlineData(MachineKind.Pc, false)]
    [InlineData(MachineKind.Pc, true)]
    [InlineData(MachineKind.Microvm, false)]
    [InlineData(MachineKind.Microvm, true)]
    public void Requests_DoorbellsByIoeventfdAndInterruptsByIrqfd_MakeNoExits(MachineKind kind, bool packed)
    {
        Costs few = Measure(kind, new VirtioSettings { Packed = packed }, Few);
        Costs many = Measure(kind, new VirtioSettings { Packed = packed }, Many);

        if (kind == MachineKind.Pc)
            Assert.True(many.Interrupts > 0);
        Assert.True(few.DeviceExits > 0);
        Assert.Equal(few.DeviceExits, many.DeviceExits);
        Assert.Equal(few.MmioExits, many.MmioExits);
    }

    [Theory]
    [InlineData(MachineKind.Pc, false)]
    [InlineData(MachineKind.Pc, true)]
    [InlineData(MachineKind.Microvm, false)]
    [InlineData(MachineKind.Microvm, true)]
    public void Requests_WithoutIoeventfd_MakeOneExitPerKick(MachineKind kind, bool packed)
    {
        Costs few = Measure(kind, new VirtioSettings { Packed = packed, IoEventFd = false }, Few);
        Costs many = Measure(kind, new VirtioSettings { Packed = packed, IoEventFd = false }, Many);

        Assert.Equal(Kicks(Many) - Kicks(Few), many.DeviceExits - few.DeviceExits);
        Assert.Equal(Kicks(Many) - Kicks(Few), many.MmioExits - few.MmioExits);
    }

    private Costs Measure(MachineKind kind, VirtioSettings settings, int count)
    {
        GuestTransport transport = GuestTransport.Create(kind == MachineKind.Pc, interrupts: true);
        GuestRing ring = GuestRing.Create(settings.Packed);
        ring.AlwaysKicks = true;
        var requests = new GuestBlockRequests(Requests);
        for (uint i = 0; i < count; i++)
            requests.Add(VIRTIO_BLK_T_IN, i % ImageSectors, new GuestBuffer(Data + (SectorLength * i), SectorLength, Writable: true));
        var disk = new DiskConfig { Path = WriteFile(new byte[ImageSectors * SectorLength]), Id = "disk", Virtio = settings };

        (uint[] words, MachineStatistics statistics) = RunCounted(Config(kind, disk, a =>
        {
            transport.Find(a, VirtioIds.VIRTIO_ID_BLOCK);
            transport.Start(a, RingFeatures(ring), ring);
            a.RunRequests(transport, ring, Requests, count, Depth);
            a.StoreMemory(GuestVariables.Mismatches);
            a.StoreNonZero(requests.Statuses, count);
            a.StoreMemory(ring.Kicks);
            a.StoreMemory(UserKernel.InterruptCount);
            a.Finish();
        }, requests.Segments(ring)));

        Assert.Equal([0u, 0, Kicks(count)], words[..3]);
        return new Costs(words[3], Count(statistics.ExitsByDevice, "disk"), Count(statistics.ExitsByReason, "KVM_EXIT_MMIO"));
    }

    /// <summary>The first requests share one.</summary>
    private static uint Kicks(int count) => (uint)(count - Depth + 1);

    private static long Count(IReadOnlyList<NamedCount> counts, string name) => counts.Single(c => c.Name == name).Count;

    private sealed record Costs(uint Interrupts, long DeviceExits, long MmioExits);
}
