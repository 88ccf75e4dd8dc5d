using System.Buffers.Binary;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core.Memory;
using KvmSharp.Machine.Config;
using KvmSharp.TestKit;
using KvmSharp.Virtio;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>Our front end against our back end: ports on a switch and on nothing.</summary>
public sealed class ServedNetTests
{
    private const ulong Mergeable = 1UL << VirtioNet.VIRTIO_NET_F_MRG_RXBUF;
    private const ulong One = 0x5200_0000_0001, Two = 0x5200_0000_0002, Three = 0x5200_0000_0003, Broadcast = 0xffff_ffff_ffff;

    public static TheoryData<ulong, bool> Shapes
    {
        get
        {
            TheoryData<ulong, bool> shapes = [];
            foreach (ulong packed in new[] { 0UL, VirtioFeatures.RingPacked })
            foreach (ulong eventIdx in new[] { 0UL, VirtioFeatures.EventIdx })
            foreach (ulong inOrder in new[] { 0UL, VirtioFeatures.InOrder })
            foreach (ulong mergeable in new[] { 0UL, Mergeable })
            foreach (bool indirect in new[] { false, true })
                shapes.Add(packed | eventIdx | inOrder | mergeable | (indirect ? VirtioFeatures.IndirectDesc : 0), indirect);
            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Switch_FramesOfEverySize_ArriveWhole(ulong features, bool indirect)
    {
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, features), to = network.Connect(1, features);
        foreach (int length in new[] { 14, 60, 64, 1514, 9000, 65535 })
        {
            byte[] frame = Frame(Broadcast, One, length);
            foreach (uint cut in new uint[] { 1, NetDriver.HeaderBytes, 20, uint.MaxValue })
            {
                to.Post(0, slot: 3, (uint)length + NetDriver.HeaderBytes, indirect);
                from.Send(0, frame, cut, indirect);
                Assert.Equal(frame, to.Receive(0, out int buffers));
                Assert.Equal(1, buffers);
            }
        }

        Assert.Null(network.Failure);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder)]
    public void Switch_FrameLargerThanABuffer_IsSpreadIfTheDriverMerges(ulong ring)
    {
        using ServedNetwork network = new();
        (NetDriver from, NetDriver to) = ConnectMerging(network, "switch,queues=2", ring);
        byte[] frame = Frame(Broadcast, One, 9000);
        from.Send(0, frame);
        Assert.Equal(frame, to.Receive(0, out int buffers));
        Assert.Equal(6, buffers);

        // Two are left, too few for another: it is lost, and they are not.
        from.Send(0, frame);
        Assert.True(to.IsQuiet(0));
        from.Send(0, frame.AsSpan(0, 1000));
        Assert.Equal(frame[..1000], to.Receive(0, out buffers));
        Assert.Equal(1, buffers);
    }

    /// <summary>Of split rings, which say how far they are. Buffers that the driver posted before are still there.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.InOrder)]
    public void FrontEnd_ComesBackWithRingsThatItCallsNew_TheyGoOnWhereTheyWere(ulong features)
    {
        using ServedNetwork network = new();
        network.Add("switch");
        network.Add("switch");
        NetDriver from = network.Connect(0, features), to = network.Connect(1, features);
        for (int slot = 0; slot < 4; slot++)
            to.Post(0, slot, 1600);
        byte[] frame = Frame(Broadcast, One, 100);
        from.Send(0, frame);
        Assert.Equal(frame, to.Receive(0, out _));

        network.Reconnect(from, 0);
        network.Reconnect(to, 1);

        for (int i = 1; i < 4; i++)
        {
            frame = Frame(Broadcast, One, 100 * i);
            from.Send(0, frame);
            Assert.Equal(frame, to.Receive(0, out _));
        }

        Assert.Null(network.Failure);
    }

    /// <summary>The next back end goes on where the last one stood, also in rings that the driver does not use just then. Buffers that a frame did not fit into are still there.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(VirtioFeatures.RingPacked)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder | VirtioFeatures.EventIdx)]
    public void BackEnd_EndsAndComesBack_DriversSeeAPause(ulong ring)
    {
        const int Lives = 4, Pairs = 2;
        using ServedNetwork network = new();
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, ring | Mergeable, Pairs), to = network.Connect(1, ring | Mergeable, Pairs);
        int slot = 0;
        for (int life = 0; life < Lives; life++)
        {
            for (int pair = 0; pair < Pairs; pair++)
            {
                for (int i = 0; i < 3; i++)
                    to.Post(pair, (slot + i) % NetDriver.QueueSize, 1600);
                from.Send(pair, Frame(Broadcast, One, 9000));
                byte[] frame = Frame(Broadcast, One, 4000 + life);
                from.Send(pair, frame);
                Assert.Equal(frame, to.Receive(pair, out int buffers));
                Assert.Equal(3, buffers);
            }

            slot += 3;
            to.Enable(1, enabled: life % 2 != 0);
            network.Restart();
            to.Enable(1, enabled: true);
        }

        Assert.Null(network.Failure);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(VirtioFeatures.RingPacked)]
    public void Port_ThatConnects_FindsFrontEndsThatComeLater(ulong features)
    {
        using ServedNetwork network = new();
        network.Add("switch", connects: true);
        network.Add("switch");
        NetDriver to = network.Connect(1, features);
        byte[] frame = Frame(Broadcast, One, 100);
        for (int life = 0; life < 2; life++)
        {
            using NetDriver from = network.Accept(0, features);
            to.Post(0, life, 1600);
            from.Send(0, frame);
            Assert.Equal(frame, to.Receive(0, out _));
        }

        Assert.Null(network.Failure);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder)]
    public void Log_OfPages_HasEveryBufferThatAFrameIsSpreadOver(ulong ring)
    {
        using ServedNetwork network = new();
        (NetDriver from, NetDriver to) = ConnectMerging(network, "switch", ring);
        using VhostUserLog log = to.StartLog();
        // The ring stands still for a moment, and what is sent then is lost; buffers are there for one frame.
        Patience.Await(() =>
        {
            from.Send(0, Frame(Broadcast, One, 9000));
            return network.Host.Find("net1")!.Device.Statistics!.Received.Frames == 1;
        }, () => "nothing arrives");
        to.Receive(0, out int buffers);

        List<ulong> pages = [];
        Assert.True(log.TryTake(pages, limit: 1000));
        Assert.Equal(6, buffers);
        for (int slot = 0; slot < 8; slot++)
            Assert.Equal(slot < buffers, pages.Contains(NetDriver.AddressOf(0, slot) / GuestMemory.PageSize));
    }

    [Fact]
    public void Switch_BufferTooSmallForADriverThatDoesNotMerge_FrameIsLostAndTheBufferIsNot()
    {
        using ServedNetwork network = new();
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, 0), to = network.Connect(1, 0);
        to.Post(0, 0, 1526);
        from.Send(0, Frame(Broadcast, One, 1515));
        byte[] fits = Frame(Broadcast, One, 1514);
        from.Send(0, fits);
        Assert.Equal(fits, to.Receive(0, out _));
    }

    [Fact]
    public void Switch_StationThatWasSeen_GetsItsFramesAlone()
    {
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        NetDriver[] drivers = [.. Enumerable.Range(0, 3).Select(i =>
        {
            network.Add("switch,queues=2");
            return network.Connect(i, VirtioFeatures.EventIdx);
        })];
        Array.ForEach(drivers, d => Enumerable.Range(0, 8).ToList().ForEach(slot => d.Post(0, slot, 1600)));

        byte[] hello = Frame(Broadcast, Two, 60);
        drivers[1].Send(0, hello);
        Assert.Equal(hello, drivers[0].Receive(0, out _));
        Assert.Equal(hello, drivers[2].Receive(0, out _));
        byte[] known = Frame(Two, One, 60);
        drivers[0].Send(0, known);
        Assert.Equal(known, drivers[1].Receive(0, out _));
        byte[] unknown = Frame(Three, One, 60);
        drivers[0].Send(0, unknown);
        Assert.Equal(unknown, drivers[1].Receive(0, out _));
        // What came before it would have been seen first.
        Assert.Equal(unknown, drivers[2].Receive(0, out _));
        Assert.True(drivers[0].IsQuiet(0));
    }

    public static TheoryData<ulong, int> Pairs
    {
        get
        {
            TheoryData<ulong, int> pairs = [];
            foreach (ulong features in new[] { 0UL, VirtioFeatures.EventIdx, VirtioFeatures.RingPacked, VirtioFeatures.RingPacked | VirtioFeatures.EventIdx | VirtioFeatures.InOrder })
            foreach (int count in new[] { 1, 2, 3, 4 })
                pairs.Add(features | Mergeable, count);
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Switch_PairsOfASender_GoToTheSamePairs(ulong features, int pairs)
    {
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add($"switch,queues={pairs}");
        network.Add($"switch,queues={pairs}");
        NetDriver from = network.Connect(0, features, pairs), to = network.Connect(1, features, pairs);
        for (int pair = 0; pair < pairs; pair++)
            to.Post(pair, 0, 1600);
        for (int pair = pairs - 1; pair >= 0; pair--)
            from.Send(pair, Frame(Broadcast, One, 100 + pair));
        for (int pair = 0; pair < pairs; pair++)
            Assert.Equal(Frame(Broadcast, One, 100 + pair), to.Receive(pair, out _));
        Assert.Null(network.Failure);
    }

    [Fact]
    public void Switch_ReceiverLeavesAndComesBack_GetsFramesAgain()
    {
        using ServedNetwork network = new();
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, VirtioFeatures.RingPacked);
        byte[] frame = Frame(Broadcast, One, 60);
        for (int i = 0; i < 3; i++)
        {
            using (NetDriver to = network.Connect(1, VirtioFeatures.RingPacked))
            {
                to.Post(0, 0, 1600);
                // Sent until the device has the queue, which nobody says.
                do from.Send(0, frame);
                while (to.IsQuiet(0));
            }

            from.Send(0, frame);
        }

        Assert.Null(network.Failure);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(VirtioFeatures.RingPacked, false)]
    [InlineData(VirtioFeatures.EventIdx, true)]
    public void Generate_DriverWithBuffers_GetsNumberedFrames(ulong features, bool poll)
    {
        using ServedNetwork network = new(new ServeOptions { Poll = poll });
        network.Add("null,generate=60,queues=2");
        NetDriver to = network.Connect(0, features);
        for (ulong number = 0; number < 100; number++)
        {
            to.Post(0, 0, 1600);
            byte[] frame = to.Receive(0, out _);
            Assert.Equal(60, frame.Length);
            Assert.Equal(number, BinaryPrimitives.ReadUInt64BigEndian(frame.AsSpan(14)));
        }
    }

    [Theory]
    [InlineData(VirtioFeatures.EventIdx, "null,queues=2")]
    [InlineData(VirtioFeatures.RingPacked | VirtioFeatures.InOrder, "null,queues=2")]
    [InlineData(VirtioFeatures.EventIdx, "switch,queues=2")]
    [InlineData(VirtioFeatures.RingPacked, "switch,queues=2")]
    public void Frames_ByTheThousand_AllocateNothing(ulong features, string port)
    {
        using ServedNetwork network = new();
        network.Add(port);
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, features), to = network.Connect(1, features);
        for (int slot = 0; slot < NetDriver.QueueSize; slot++)
            to.Post(0, slot, 1600);
        from.Write(NetDriver.AddressOf(1, 0) + NetDriver.HeaderBytes, Frame(Broadcast, One, 64));
        Assert.Equal(0, AllocationProbe.OnLoop(network.Host.IoThreads[0], () =>
        {
            for (int i = 0; i < 1000; i++)
            {
                from.Flood(0, 1, 64);
                to.Recycle(0, 1600);
            }
        }));
    }

    [Fact]
    public void Capture_OfAPort_HasItsFramesAndKeepsToItsLimit()
    {
        using ServedNetwork network = new();
        string file = Path.Combine(network.Folder, "port.pcap");
        network.Add($"null,queues=2,capture={file},capture-limit=1K");
        NetDriver from = network.Connect(0, 0);
        byte[] frame = Frame(Broadcast, One, 300);
        for (int i = 0; i < 5; i++)
            from.Send(0, frame);
        network.Host.Remove("net0");

        byte[] capture = File.ReadAllBytes(file);
        Assert.Equal(0xa1b2_3c4dU, BinaryPrimitives.ReadUInt32LittleEndian(capture));
        Assert.Equal(24 + 3 * (16 + 300), capture.Length);
        Assert.Equal(300U, BinaryPrimitives.ReadUInt32LittleEndian(capture.AsSpan(24 + 8)));
        Assert.Equal(frame, capture[(24 + 16)..(24 + 16 + 300)]);
    }

    [Fact]
    public void BadFrames_TooShortAndTooLong_AreDropped()
    {
        using ServedNetwork network = new();
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        NetDriver from = network.Connect(0, 0), to = network.Connect(1, 0);
        to.Post(0, 0, 1600);
        from.Send(0, new byte[13]);
        from.Send(0, []);
        from.Send(0, new byte[65554]);
        byte[] frame = Frame(Broadcast, One, 14);
        from.Send(0, frame);
        Assert.Equal(frame, to.Receive(0, out _));
    }

    [Theory]
    [InlineData("hub")]
    [InlineData("switch,tap=t0")]
    [InlineData("null,queues=0")]
    [InlineData("null,queues=65")]
    [InlineData("null,generate=59")]
    [InlineData("switch,generate=64")]
    [InlineData("switch,bridge=br0")]
    [InlineData("switch,capture-limit=1M")]
    [InlineData("queues=2")]
    public void Add_OfNonsense_IsRefused(string port)
    {
        using ServedNetwork network = new();
        Assert.Throws<ConfigException>(() => network.Add(port));
        Assert.Empty(network.Host.Ports);
    }

    /// <summary>Two such ports, and behind the second a driver that merges, with eight buffers too small for a large frame.</summary>
    private static (NetDriver From, NetDriver To) ConnectMerging(ServedNetwork network, string port, ulong ring)
    {
        network.Add(port);
        network.Add(port);
        NetDriver from = network.Connect(0, ring), to = network.Connect(1, ring | Mergeable);
        for (int slot = 0; slot < 8; slot++)
            to.Post(0, slot, 1536);
        return (from, to);
    }

    private static byte[] Frame(ulong destination, ulong source, int length)
    {
        byte[] frame = new byte[length];
        new Random(length).NextBytes(frame);
        for (int i = 0; i < 6; i++)
        {
            frame[i] = (byte)(destination >> (40 - 8 * i));
            frame[6 + i] = (byte)(source >> (40 - 8 * i));
        }

        return frame;
    }
}
