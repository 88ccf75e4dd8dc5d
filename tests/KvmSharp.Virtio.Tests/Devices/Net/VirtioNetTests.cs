using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.TestKit.Net;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Tests.Devices.Net;

public sealed class VirtioNetTests
{
    private const ulong Packed = VirtioFeatures.RingPacked | VirtioFeatures.EventIdx;
    private const ulong Merge = 1UL << VIRTIO_NET_F_MRG_RXBUF;
    private const ulong Control = 1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_CTRL_RX | 1UL << VIRTIO_NET_F_CTRL_RX_EXTRA |
        1UL << VIRTIO_NET_F_CTRL_MAC_ADDR | 1UL << VIRTIO_NET_F_GUEST_ANNOUNCE;

    private const ulong Offloads = 1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    private const ulong Mac = 0x52_54_00_12_34_56;

    private readonly FakeNetBackend _host = new(2);

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    [InlineData(Packed)]
    [InlineData(Packed | VirtioFeatures.InOrder)]
    public void Transmit_ChainOfAnyLayout_ReachesTheHostWhole(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        byte[] packet = Packet(Mac, 60);
        bed.WriteMemory(VirtioDeviceBed.Data, packet);
        bed.Drivers[1].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 5, false), new DriverBuffer(VirtioDeviceBed.Data + 5, (uint)packet.Length - 5, false)], 7);
        bed.Submit(1);

        Assert.Equal(7, bed.Take(1, out uint written));
        Assert.Equal(0u, written);
        Assert.Equal(packet, _host[0].Sent.Take());
    }

    [Fact]
    public void Transmit_HostWithoutRoom_GoesOnWhenThereIs()
    {
        using VirtioDeviceBed bed = CreateBed(0);
        _host[0].RefuseSends();
        bed.WriteMemory(VirtioDeviceBed.Data, Packet(Mac, 60));
        bed.Drivers[1].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 72, false)], 7);
        bed.Submit(1);
        Thread.Sleep(20);
        Assert.Empty(_host[0].Sent);
        _host[0].MakeRoom();

        Assert.Equal(7, bed.Take(1, out _));
        Assert.Single(_host[0].Sent);
    }

    [Fact]
    public void Transmit_ChainWithoutPacket_ComesBackUnsent()
    {
        using VirtioDeviceBed bed = CreateBed(0);
        bed.Drivers[1].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 12, false)], 7);
        bed.Submit(1);

        Assert.Equal(7, bed.Take(1, out _));
        Assert.Empty(_host[0].Sent);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(Merge)]
    [InlineData(Packed | Merge)]
    [InlineData(Packed | Merge | VirtioFeatures.InOrder)]
    public void Receive_PacketThatFits_FillsOneBuffer(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        Post(bed, 3, 2000);
        byte[] packet = Packet(Mac, 100);
        _host[0].Arrive(packet);

        Assert.Equal(0, bed.Take(0, out uint written));
        Assert.Equal((uint)packet.Length, written);
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(bed.ReadMemory(VirtioDeviceBed.Data + 10, 2)));
        Assert.Equal(packet[12..], bed.ReadMemory(VirtioDeviceBed.Data + 12, packet.Length - 12));
    }

    [Theory]
    [InlineData(Merge | Offloads)]
    [InlineData(Packed | Merge | Offloads)]
    [InlineData(Packed | Merge | Offloads | VirtioFeatures.InOrder)]
    public void Receive_LargePacket_IsSpreadOverMergedBuffers(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        Post(bed, 4, 1000);
        byte[] packet = Packet(Mac, 2500);
        _host[0].Arrive(packet);

        Assert.Equal(0, bed.Take(0, out uint first));
        Assert.Equal(1, bed.Take(0, out uint second));
        Assert.Equal(2, bed.Take(0, out uint third));
        Assert.Equal((1000u, 1000u, 512u), (first, second, third));
        Assert.Equal(3, BinaryPrimitives.ReadUInt16LittleEndian(bed.ReadMemory(VirtioDeviceBed.Data + 10, 2)));
        Assert.Equal(packet[1000..2000], bed.ReadMemory(VirtioDeviceBed.Data + 4096, 1000));
    }

    [Theory]
    [InlineData(Merge | Offloads)]
    [InlineData(Packed | Merge | Offloads)]
    public void Receive_TooFewBuffers_WaitsForMore(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        Post(bed, 1, 1000);
        _host[0].Arrive(Packet(Mac, 1500));
        Thread.Sleep(20);
        Assert.False(bed.Drivers[0].TryTakeUsed(out _, out _));
        Post(bed, 1, 1000);

        Assert.Equal(0, bed.Take(0, out uint first));
        bed.Take(0, out uint second);
        Assert.Equal(1512u, first + second);
    }

    [Theory]
    [InlineData(Merge | Offloads)]
    [InlineData(Packed | Merge | Offloads | VirtioFeatures.InOrder)]
    public void StopQueue_WithBuffersTakenAhead_LeavesThemForTheNextRun(ulong features)
    {
        using VirtioDeviceBed bed = CreateBed(features);
        Post(bed, 5, 2000);
        _host[0].Arrive(Packet(Mac, 100));
        bed.Take(0, out _);
        VirtQueueState state = bed.Device.StopQueue(0)!.Value;
        bed.StartQueue(0, state);
        byte[] packet = Packet(Mac, 200);
        _host[0].Arrive(packet);

        Assert.Equal(1, bed.Take(0, out uint written));
        Assert.Equal((uint)packet.Length, written);
        Assert.Equal(packet[12..], bed.ReadMemory(VirtioDeviceBed.Data + 4096 + 12, packet.Length - 12));
    }

    [Fact]
    public void Receive_FilteredAddress_IsNotDelivered()
    {
        using VirtioDeviceBed bed = CreateBed(Control);
        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0));
        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0, 0, 0, 0, 1, 0, 0, 0, 0x33, 0x33, 0, 0, 0, 1));
        Post(bed, 3, 2000);
        _host[0].Arrive(Packet(0x52_54_00_99_99_99, 60));
        _host[0].Arrive(Packet(0x33_33_00_00_00_02, 61));
        _host[0].Arrive(Packet(0x33_33_00_00_00_01, 62));
        _host[0].Arrive(Packet(0xff_ff_ff_ff_ff_ff, 63));
        _host[0].Arrive(Packet(Mac, 64));

        bed.Take(0, out uint first);
        bed.Take(0, out uint second);
        bed.Take(0, out uint third);
        Assert.Equal((74u, 75u, 76u), (first, second, third));
    }

    [Fact]
    public void Command_MacAddress_IsSeenInTheConfiguration()
    {
        using VirtioDeviceBed bed = CreateBed(Control);
        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 1, 2, 3, 4, 5));

        byte[] mac = new byte[6];
        bed.Device.ReadConfig(0, mac);
        Assert.Equal([2, 1, 2, 3, 4, 5], mac);
    }

    [Fact]
    public void Command_QueuePairs_AreActiveOnTheHost()
    {
        using VirtioDeviceBed bed = CreateBed(Control | 1UL << VIRTIO_NET_F_MQ);
        Assert.Equal(1, _host.ActivePairs);

        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0));
        Assert.Equal(2, _host.ActivePairs);
        Assert.Equal(VIRTIO_NET_ERR, Command(bed, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 3, 0));
        Assert.Equal(VIRTIO_NET_ERR, Command(bed, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0, 0));
    }

    [Fact]
    public void Command_GuestOffloads_ReachTheHost()
    {
        using VirtioDeviceBed bed = CreateBed(Control | Offloads);
        Assert.Equal(NetOffloads.Checksum | NetOffloads.Tso4, _host.Offloads);

        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 2, 0, 0, 0, 0, 0, 0, 0));
        Assert.Equal(NetOffloads.Checksum, _host.Offloads);
        Assert.Equal(VIRTIO_NET_ERR, Command(bed, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 0, 1, 0, 0, 0, 0, 0, 0));
    }

    [Fact]
    public void Announce_Acknowledged_IsOver()
    {
        using VirtioDeviceBed bed = CreateBed(Control);
        ((VirtioNetDevice)bed.Device).TryAnnounce();
        Assert.Equal(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE, Status(bed));

        Assert.Equal(VIRTIO_NET_OK, Command(bed, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK));
        Assert.Equal(VIRTIO_NET_S_LINK_UP, Status(bed));
    }

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 9, 9, 9 })]
    [InlineData(new byte[] { VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 1, 0 })]
    [InlineData(new byte[] { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 255, 255, 255, 255 })]
    [InlineData(new byte[] { VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0, 0, 0, 0 })]
    public void Command_Malformed_IsRefused(byte[] command)
    {
        using VirtioDeviceBed bed = CreateBed(Control);

        Assert.Equal(VIRTIO_NET_ERR, Command(bed, command));
    }

    [Fact]
    public void Passes_ManyPackets_AllocatesNothing()
    {
        NetFilter filter = new() { Mac = Mac, Promiscuous = false, Vlans = new ulong[64] };
        byte[] packet = Packet(Mac, 60);
        long before = GC.GetAllocatedBytesForCurrentThread();
        bool passed = true;
        for (int i = 0; i < 100_000; i++)
            passed &= filter.Passes(packet.AsSpan(12));

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(passed);
    }

    private VirtioDeviceBed CreateBed(ulong features)
    {
        VirtioDeviceBed bed = new(loop => new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(Mac) }, _host, [loop]), features);
        bed.Start();
        return bed;
    }

    private static byte[] Packet(ulong destination, int length)
    {
        byte[] packet = new byte[12 + length];
        new Random(length).NextBytes(packet.AsSpan(12));
        new MacAddress(destination).CopyTo(packet.AsSpan(12));
        packet[24] = 8;
        packet[25] = 0;
        return packet;
    }

    private static void Post(VirtioDeviceBed bed, int count, uint bytes)
    {
        for (int i = 0; i < count; i++)
            Assert.True(bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data + 4096UL * (uint)i, bytes, true)], i));
        bed.Submit(0);
    }

    private static byte Command(VirtioDeviceBed bed, params byte[] command)
    {
        const ulong At = VirtioDeviceBed.Data + 0x10_0000;
        int queue = bed.Context.Has(1UL << VIRTIO_NET_F_MQ) ? 4 : 2;
        bed.WriteMemory(At, command);
        bed.WriteMemory(At + 4096, [0xff]);
        bed.Drivers[queue].TryAdd([new DriverBuffer(At, (uint)command.Length, false), new DriverBuffer(At + 4096, 1, true)], 1);
        bed.Submit(queue);
        bed.Take(queue, out uint written);
        Assert.Equal(1u, written);
        return bed.ReadMemory(At + 4096, 1)[0];
    }

    private static int Status(VirtioDeviceBed bed)
    {
        byte[] status = new byte[2];
        bed.Device.ReadConfig(6, status);
        return BinaryPrimitives.ReadUInt16LittleEndian(status);
    }
}
