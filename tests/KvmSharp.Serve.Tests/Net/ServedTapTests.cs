using System.Buffers.Binary;
using System.Globalization;
using System.Text.RegularExpressions;
using KvmSharp.Virtio;
using static KvmSharp.Abi.Virtio.VirtioNet;
using static KvmSharp.TestKit.NetworkNamespace;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>Ports on real taps, bridged to one of the test's own. Needs root.</summary>
public sealed partial class ServedTapTests
{
    private const ulong Guest = 0x52_54_00_12_34_56, Peer = 0x52_54_00_65_43_21;
    private const ulong TwoPairs = 1UL << VIRTIO_NET_F_MQ | 1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_MRG_RXBUF;
    private const uint BufferBytes = 2048;

    /// <summary>The host answers a flow where it came from, which only queues can be that take part.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.EventIdx)]
    public void Flow_OfEachPair_IsAnsweredOnThatPair(ulong ring) => Run(() =>
    {
        using TapPeer peer = new();
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add($"tap=guest,bridge={TapPeer.Bridge},queues=2");
        NetDriver driver = network.Connect(0, ring | TwoPairs, pairs: 2);
        for (int i = 0; i < 8; i++)
        {
            int pair = i % 2;
            byte[] frame = Flow(Guest, Peer, i, back: false), answer = Flow(Peer, Guest, i, back: true);
            driver.Post(pair, i, BufferBytes);
            driver.Send(pair, frame);
            Assert.Equal(frame, peer.Receive());
            peer.Send(answer);
            Assert.Equal(answer, driver.Receive(pair, out _));
        }

        Assert.Null(network.Failure);
    });

    /// <summary>Buffers that were taken for what might come are still there.</summary>
    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.EventIdx)]
    public void BackEnd_EndsAndComesBack_LosesNoBuffer(ulong ring) => Run(() =>
    {
        const int Lives = 6, Posted = 8;
        using TapPeer peer = new();
        using ServedNetwork network = new();
        network.Add($"tap=guest,bridge={TapPeer.Bridge}");
        NetDriver driver = network.Connect(0, ring | 1UL << VIRTIO_NET_F_MRG_RXBUF);
        for (int i = 0; i < Posted; i++)
            driver.Post(0, i, BufferBytes);
        for (int i = 0; i < Lives; i++)
        {
            byte[] frame = Flow(Guest, Peer, i, back: false), answer = Flow(Peer, Guest, i, back: true);
            driver.Send(0, frame);
            Assert.Equal(frame, peer.Receive());
            peer.Send(answer);
            Assert.Equal(answer, driver.Receive(0, out _));
            network.Restart();
        }

        Assert.Null(network.Failure);
    });

    /// <summary>What is left of the tap's queues is all that the host knows of.</summary>
    [Fact]
    public void NextDriver_WithFewerPairs_LosesNoFlow() => Run(() =>
    {
        const int Flows = 24;
        using TapPeer peer = new();
        using ServedNetwork network = new();
        network.Add($"tap=guest,bridge={TapPeer.Bridge},queues=4");
        network.Connect(0, TwoPairs, pairs: 4).Dispose();
        NetDriver driver = network.Connect(0, TwoPairs, pairs: 1);
        for (int i = 0; i < Flows; i++)
            driver.Post(0, i, BufferBytes);
        for (int i = 0; i < Flows; i++)
        {
            byte[] frame = Flow(Peer, Guest, i, back: false);
            peer.Send(frame);
            Assert.Equal(frame, driver.Receive(0, out _));
        }
    });

    [Fact]
    public void Capture_HasTheFramesOfBothWays() => Run(() =>
    {
        const int FileHeader = 24, RecordHeader = 16;
        byte[] sent = Flow(Guest, Peer, 1, back: false), received = Flow(Peer, Guest, 1, back: true);
        using TapPeer peer = new();
        using ServedNetwork network = new();
        string file = Path.Combine(network.Folder, "tap.pcap");
        network.Add($"tap=guest,bridge={TapPeer.Bridge},queues=2,capture={file}");
        NetDriver driver = network.Connect(0, TwoPairs, pairs: 2);
        driver.Post(1, 0, BufferBytes);
        driver.Send(1, sent);
        Assert.Equal(sent, peer.Receive());
        peer.Send(received);
        Assert.Equal(received, driver.Receive(1, out _));

        byte[] capture = File.ReadAllBytes(file);
        Assert.Equal(FileHeader + 2 * RecordHeader + sent.Length + received.Length, capture.Length);
        Assert.Equal(sent, capture.AsSpan(FileHeader + RecordHeader, sent.Length));
        Assert.Equal(received, capture.AsSpan(FileHeader + 2 * RecordHeader + sent.Length, received.Length));
    });

    /// <summary>DPDK's driver sends what it receives back with the addresses swapped, on the queue on which it came.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Testpmd_OnTwoQueues_GetsFlowsOnBothAndAnswersAll(int packed) => Run(() =>
    {
        const int Flows = 64;
        using TapPeer peer = new();
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add($"tap=guest,bridge={TapPeer.Bridge},queues=2");
        using Testpmd driver = new([$"net_virtio_user0,path={network.SocketOf(0)},queues=2,packed_vq={packed}"], pairs: 2);
        driver.Run("set fwd macswap");
        driver.Run("start");
        for (int i = 0; i < Flows; i++)
        {
            peer.Send(Flow(Peer, Guest, i, back: false));
            Assert.Equal(Flow(Guest, Peer, i, back: false), peer.Receive());
        }

        driver.Run("stop");
        long[] received = [.. QueueCounts().Matches(driver.Run("show port xstats 0")).Select(m => long.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];
        Assert.Equal(2, received.Length);
        Assert.Equal(Flows, received.Sum());
        Assert.All(received, queue => Assert.NotEqual(0, queue));
        Assert.Null(network.Failure);
    });

    [GeneratedRegex(@"rx_q\d+_good_packets: (\d+)")]
    private static partial Regex QueueCounts();

    /// <summary>A UDP datagram between two ports that tell flows apart.</summary>
    private static byte[] Flow(ulong from, ulong to, int number, bool back)
    {
        byte[] frame = new byte[14 + 20 + 8 + 18];
        BinaryPrimitives.WriteUInt64BigEndian(frame, to << 16);
        BinaryPrimitives.WriteUInt64BigEndian(frame.AsSpan(6), from << 16);
        byte[] ip = [0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, (byte)(back ? 2 : 1), 10, 0, 0, (byte)(back ? 1 : 2)];
        ip.CopyTo(frame, 12);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), (ushort)(back ? 9 : 1000 + number));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(36), (ushort)(back ? 1000 + number : 9));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(38), 26);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(24), HeaderCheckSum(frame.AsSpan(14, 20)));
        return frame;
    }

    /// <summary>RFC 1071; a bridge with netfilter drops what has a wrong one.</summary>
    private static ushort HeaderCheckSum(ReadOnlySpan<byte> header)
    {
        uint sum = 0;
        for (int i = 0; i < header.Length; i += 2)
            sum += BinaryPrimitives.ReadUInt16BigEndian(header[i..]);
        return (ushort)~((sum & 0xffff) + (sum >> 16));
    }
}
