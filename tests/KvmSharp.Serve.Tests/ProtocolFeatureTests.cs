using System.Buffers.Binary;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Serve.Tests.Net;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio;
using static KvmSharp.Serve.Tests.ServedDisk;

namespace KvmSharp.Serve.Tests;

/// <summary>Our front end and our back end, whatever both of them know of the protocol.</summary>
public sealed class ProtocolFeatureTests
{
    private const VhostUserFeatures MultiQueue = VhostUserFeatures.MultiQueue, ReplyAck = VhostUserFeatures.ReplyAck, Slots = VhostUserFeatures.ConfigureMemSlots,
        Status = VhostUserFeatures.Status, BackendReq = VhostUserFeatures.BackendReq, ResetDevice = VhostUserFeatures.ResetDevice, InFlight = VhostUserFeatures.InflightShmFd;

    public static TheoryData<VhostUserFeatures, bool> OfADisk => Combinations(MultiQueue, ReplyAck, Slots, Status, BackendReq, InFlight);

    public static TheoryData<VhostUserFeatures, bool> OfANetwork => Combinations(ReplyAck, Slots, Status, BackendReq, ResetDevice, InFlight);

    [Theory]
    [MemberData(nameof(OfADisk))]
    public void Disk_WithoutThese_ServesRequestsAndADriverThatComesBack(VhostUserFeatures withheld, bool packed)
    {
        using ServedDisk disk = new() { Withheld = withheld };
        int queues = withheld.HasFlag(MultiQueue) ? 1 : 2;
        VirtioDeviceBed bed = disk.Start(packed ? VirtioFeatures.RingPacked : 0, queues: 2);
        Assert.Equal(queues, bed.Drivers.Length);
        WriteAndRead(disk, queues, seed: 1);
        bed.Dispose();
        disk.Disconnect();

        disk.Start(packed ? 0 : VirtioFeatures.RingPacked, queues: 2);

        WriteAndRead(disk, queues, seed: 2);
        Assert.Null(disk.Failure);
    }

    [Theory]
    [MemberData(nameof(OfANetwork))]
    public void Network_WithoutThese_CarriesFrames(VhostUserFeatures withheld, bool packed)
    {
        ulong features = packed ? VirtioFeatures.RingPacked : 0;
        using ServedNetwork network = new();
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, features, pairs: 2, withheld), to = network.Connect(1, features, pairs: 2, withheld);
        byte[] frame = [.. Enumerable.Repeat((byte)0xff, 6), .. Enumerable.Range(2, 94).Select(i => (byte)i)];
        for (int pair = 0; pair < 2; pair++)
        {
            to.Post(pair, 0, 1600);
            // Without acknowledgements nobody says when a queue is there.
            do from.Send(pair, frame);
            while (to.IsQuiet(pair));
            to.Post(pair, 1, 1600);
            from.Send(pair, frame);
            Assert.Equal(frame, to.Receive(pair, out _));
        }

        Assert.Null(network.Failure);
    }

    [Fact]
    public void Disk_WithoutConfiguration_IsNone()
    {
        using ServedDisk disk = new() { Withheld = VhostUserFeatures.Config };

        BackendException error = Assert.Throws<BackendException>(() => disk.Start(0));

        Assert.EndsWith("its vhost-user back end says nothing of a disk: it lacks device configuration", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Where packed rings stand is known to a back end alone, unless it notes it where the front end can read it.</summary>
    [Theory]
    [InlineData(false, InFlight, true)]
    [InlineData(true, VhostUserFeatures.None, true)]
    [InlineData(true, InFlight, false)]
    public void Disk_BackEndEnds_GoesOnOrAsksForAReset(bool packed, VhostUserFeatures withheld, bool goesOn)
    {
        using ServedDisk disk = new() { Withheld = withheld };
        VirtioDeviceBed bed = disk.Start(packed ? VirtioFeatures.RingPacked : 0);
        WriteAndRead(disk, queues: 1, seed: 1);

        disk.Restart();
        if (!goesOn)
        {
            Assert.True(bed.Interrupt.WaitForFault());
            bed.Dispose();
            disk.Disconnect();
            disk.Start(VirtioFeatures.RingPacked);
        }

        WriteAndRead(disk, queues: 1, seed: 2);
        Assert.Equal(goesOn, bed.Interrupt.Faults.IsEmpty);
    }

    [Theory]
    [InlineData(VhostUserFeatures.None)]
    [InlineData(ReplyAck)]
    public void Disk_Grows_TheDriverIsToldOnce(VhostUserFeatures withheld)
    {
        using ServedDisk disk = new() { Withheld = withheld };
        VirtioDeviceBed bed = disk.Start(0);
        using (FileStream image = File.OpenWrite(disk.Image))
            image.SetLength(4 * ImageBytes);

        disk.Host.Find("blk0")!.Device.OnResized();

        Assert.True(SpinWait.SpinUntil(() => Sectors(bed) == 4 * ImageBytes / 512, 10_000));
        Assert.True(SpinWait.SpinUntil(() => bed.Interrupt.ConfigSignals == 1, 10_000));
        bed.WriteMemory(ServedDisk.Buffer, Pattern(9));
        Assert.Equal(0, disk.Run(0, VirtioBlk.VIRTIO_BLK_T_OUT, (4 * ImageBytes / Block) - 1));
    }

    private static ulong Sectors(VirtioDeviceBed bed)
    {
        byte[] capacity = new byte[8];
        bed.Device.ReadConfig(0, capacity);
        return BinaryPrimitives.ReadUInt64LittleEndian(capacity);
    }

    private static void WriteAndRead(ServedDisk disk, int queues, int seed)
    {
        for (int queue = 0; queue < queues; queue++)
        {
            byte[] content = Pattern(seed + queue);
            disk.Bed!.WriteMemory(ServedDisk.Buffer, content);
            Assert.Equal(0, disk.Run(queue, VirtioBlk.VIRTIO_BLK_T_OUT, block: seed));
            disk.Bed.WriteMemory(ServedDisk.Buffer, new byte[Block]);
            Assert.Equal(0, disk.Run(queues - 1 - queue, VirtioBlk.VIRTIO_BLK_T_IN, block: seed));
            Assert.Equal(content, disk.Bed.ReadMemory(ServedDisk.Buffer, Block));
        }
    }

    /// <summary>All subsets, with split and packed rings.</summary>
    private static TheoryData<VhostUserFeatures, bool> Combinations(params VhostUserFeatures[] features)
    {
        TheoryData<VhostUserFeatures, bool> combinations = [];
        for (int subset = 0; subset < 1 << features.Length; subset++)
        {
            VhostUserFeatures withheld = features.Where((_, i) => (subset & 1 << i) != 0).Aggregate(VhostUserFeatures.None, (all, one) => all | one);
            combinations.Add(withheld, false);
            combinations.Add(withheld, true);
        }

        return combinations;
    }
}
