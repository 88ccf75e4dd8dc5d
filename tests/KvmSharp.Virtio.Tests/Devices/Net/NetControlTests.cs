using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.TestKit.Net;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>The control queue and the configuration of an interface with one queue pair: filters, VLANs, link, MTU, announcement.</summary>
public sealed class NetControlTests : IDisposable
{
    private const ulong Mac = 0x52_54_00_12_34_56, Stranger = 0x52_54_00_99_99_99, Group = 0x33_33_00_00_00_02, Broadcast = 0xffff_ffff_ffff;
    private const ulong Rx = 1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_CTRL_RX;
    private const ulong Extra = Rx | 1UL << VIRTIO_NET_F_CTRL_RX_EXTRA;
    private const ulong Vlan = Rx | 1UL << VIRTIO_NET_F_CTRL_VLAN;

    private readonly FakeNetBackend _host = new() { Mtu = 4000 };
    private VirtioDeviceBed? _bed;

    public void Dispose() => _bed?.Dispose();

    [Theory]
    [InlineData(VIRTIO_NET_CTRL_RX_ALLUNI, Stranger, Group)]
    [InlineData(VIRTIO_NET_CTRL_RX_ALLMULTI, Group, Stranger)]
    public void RxMode_All_LetsThatKindIn(byte mode, ulong arrives, ulong filtered)
    {
        Start(Extra);
        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0));
        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_RX, mode, 1));

        Assert.Equal([61], Receive((filtered, 60), (arrives, 61)));
    }

    [Theory]
    [InlineData(VIRTIO_NET_CTRL_RX_NOUNI, Mac)]
    [InlineData(VIRTIO_NET_CTRL_RX_NOBCAST, Broadcast)]
    [InlineData(VIRTIO_NET_CTRL_RX_NOMULTI, Group)]
    public void RxMode_No_KeepsThatKindOutUntilTakenBack(byte mode, ulong filtered)
    {
        Start(Extra);
        Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0);
        Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_RX, mode, 1));
        ulong passes = filtered == Mac ? Broadcast : Mac;
        Assert.Equal([61], Receive((filtered, 60), (passes, 61)));

        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_RX, mode, 0));
        Assert.Equal([62], Receive((filtered, 62)));
    }

    [Fact]
    public void RxMode_ExtraNotNegotiated_IsRefused()
    {
        Start(Rx);

        Assert.Equal(VIRTIO_NET_ERR, Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1));
        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1));
    }

    [Fact]
    public void MacTable_MoreMulticastThanKept_LetsAllMulticastIn()
    {
        Start(Rx);
        Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0);
        byte[] table = new byte[2 + 4 + 4 + 6 * 65];
        table[0] = VIRTIO_NET_CTRL_MAC;
        table[1] = VIRTIO_NET_CTRL_MAC_TABLE_SET;
        table[6] = 65;
        Assert.Equal(VIRTIO_NET_OK, Command(table));

        Assert.Equal([61], Receive((Stranger, 60), (Group, 61)));
    }

    [Fact]
    public void Vlan_AddedAndDeleted_PassesOnlyMeanwhile()
    {
        Start(Vlan);
        Assert.Equal([61], Receive((Mac, 60, 7), (Mac, 61, null)));

        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 7, 0));
        Assert.Equal([62], Receive((Mac, 62, 7)));

        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 7, 0));
        Assert.Equal([64], Receive((Mac, 63, 7), (Mac, 64, null)));
    }

    [Fact]
    public void Vlan_BeyondTheLast_IsRefused()
    {
        Start(Vlan);

        Assert.Equal(VIRTIO_NET_ERR, Command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0, 0x10));
        Assert.Equal(VIRTIO_NET_OK, Command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0xff, 0x0f));
    }

    [Fact]
    public void Reset_FiltersAndAddress_AreBackToPowerOn()
    {
        Start(Rx | 1UL << VIRTIO_NET_F_CTRL_MAC_ADDR);
        Command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0);
        Command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 1, 2, 3, 4, 5);
        for (int i = 0; i < _bed!.Drivers.Length; i++)
            _bed.Device.StopQueue(i);

        _bed.Device.Reset();

        Assert.Equal([0x52, 0x54, 0, 0x12, 0x34, 0x56], Config(0, 6));
    }

    [Fact]
    public void ReadConfig_Mtu_IsTheHosts()
    {
        Start(0);

        Assert.Equal(4000, BinaryPrimitives.ReadUInt16LittleEndian(Config(10, 2)));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(Config(8, 2)));
    }

    [Fact]
    public void Link_GoesDown_DriverIsToldAndSeesIt()
    {
        Start(1UL << VIRTIO_NET_F_STATUS, linkCheckNs: 1_000_000);
        Assert.Equal(VIRTIO_NET_S_LINK_UP, Config(6, 2)[0]);

        _host.LinkUp = false;

        Assert.True(SpinWait.SpinUntil(() => _bed!.Interrupt.ConfigSignals == 1, 20_000));
        Assert.Equal(0, Config(6, 2)[0]);
    }

    [Fact]
    public void Announce_DriverWithoutTheFeature_IsNotBothered()
    {
        Start(Rx);

        ((VirtioNetDevice)_bed!.Device).TryAnnounce();

        Assert.Equal(0, _bed.Interrupt.ConfigSignals);
        Assert.Equal(VIRTIO_NET_S_LINK_UP, Config(6, 2)[0]);
        Assert.Equal(VIRTIO_NET_ERR, Command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK));
    }

    private void Start(ulong features, long linkCheckNs = 0)
    {
        _bed = new VirtioDeviceBed(loop => new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(Mac), LinkCheckNs = linkCheckNs }, _host, [loop]), features);
        _bed.Start();
    }

    private byte[] Config(uint offset, int length)
    {
        byte[] bytes = new byte[length];
        _bed!.Device.ReadConfig(offset, bytes);
        return bytes;
    }

    private int[] Receive(params (ulong Destination, int Length)[] packets) => Receive([.. packets.Select(p => (p.Destination, p.Length, (int?)null))]);

    /// <summary>Lengths of the packets that came through; the last one must.</summary>
    private int[] Receive(params (ulong Destination, int Length, int? Vlan)[] packets)
    {
        List<int> lengths = [];
        Assert.True(_bed!.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 2000, true)], 1));
        _bed.Submit(0);
        foreach ((ulong destination, int length, int? vlan) in packets)
            _host[0].Arrive(Packet(destination, length, vlan));
        while (lengths.Count == 0 || lengths[^1] != packets[^1].Length)
        {
            _bed.Take(0, out uint written);
            lengths.Add((int)written - 12);
            if (lengths[^1] == packets[^1].Length)
                break;
            Assert.True(_bed.Drivers[0].TryAdd([new DriverBuffer(VirtioDeviceBed.Data, 2000, true)], 1));
            _bed.Submit(0);
        }

        return [.. lengths];
    }

    private static byte[] Packet(ulong destination, int length, int? vlan)
    {
        byte[] packet = new byte[12 + length];
        new MacAddress(destination).CopyTo(packet.AsSpan(12));
        packet[24] = vlan is null ? (byte)8 : (byte)0x81;
        packet[27] = (byte)(vlan ?? 0);
        return packet;
    }

    private byte Command(params byte[] command)
    {
        const ulong At = VirtioDeviceBed.Data + 0x10_0000;
        _bed!.WriteMemory(At, command);
        _bed.WriteMemory(At + 4096, [0xff]);
        _bed.Drivers[2].TryAdd([new DriverBuffer(At, (uint)command.Length, false), new DriverBuffer(At + 4096, 1, true)], 1);
        _bed.Submit(2);
        _bed.Take(2, out uint written);
        Assert.Equal(1u, written);
        return _bed.ReadMemory(At + 4096, 1)[0];
    }
}
