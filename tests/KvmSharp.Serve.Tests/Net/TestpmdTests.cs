using System.Buffers.Binary;
using static KvmSharp.Serve.Tests.Patience;

namespace KvmSharp.Serve.Tests.Net;

/// <summary>DPDK as the driver of our ports, on every ring path that it has, without a guest.</summary>
public sealed class TestpmdTests
{
    /// <summary>Frames that one queue sends before it only forwards.</summary>
    private const int FirstBurst = 32;

    /// <summary>
    /// Pairs of ports on a switch each: a burst of every queue goes round and round. Every kind of ring, and each with another number of queues in each
    /// group of four.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Switch_FramesOfEverySize_AreCountedTheSameOnBothSides(int pairs)
    {
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Where((_, i) => ((i ^ (i >> 2)) & 3) == pairs - 1)];
        int splitPorts = 2 * rings.Count(r => !r.Packed);
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        foreach (VirtioUserRing _ in rings)
        {
            network.ReplaceSwitch();
            network.Add($"switch,queues={pairs}");
            network.Add($"switch,queues={pairs}");
        }

        using ControlTalk control = network.Talk();
        using Testpmd driver = new(Devices(network, [.. rings.SelectMany(r => new[] { r, r })], pairs), pairs);
        AssertVectorized(driver, rings);
        foreach (string size in new[] { "64", "128", "256", "512", "1024", "1280", "1518", "2000,2000,2000,2000,1000" })
        {
            // In less than eight segments, which take no indirect table on a packed ring: see Forwarded_JumboFramesInSegments_ComeBackAsTheyWere.
            bool jumbo = size.Contains(',', StringComparison.Ordinal);
            int ports = jumbo ? splitPorts : 2 * rings.Length;
            IReadOnlyList<PortStatistics> before = control.Statistics();
            driver.Run("set fwd io");
            driver.Run($"set portlist {string.Join(',', Enumerable.Range(0, ports))}");
            driver.Run($"set txpkts {size}");
            driver.Run("start tx_first 1");
            // A jumbo frame goes round where drivers put buffers together, and is lost elsewhere.
            Await(() => control.Statistics().Take(ports).Select((now, i) => now.Sent.Frames - before[i].Sent.Frames >= pairs * FirstBurst * (jumbo && !rings[i / 2].Mergeable ? 1 : 8)).All(done => done),
                () => $"{size}: {string.Join('\n', control.Statistics())}");
            driver.Run("stop");
            AssertSameCounts(driver, control, rings);
            IReadOnlyList<PortStatistics> after = control.Statistics();
            for (int i = 0; i < after.Count; i++)
            {
                long lost = jumbo && !rings[i / 2].Mergeable ? after[i ^ 1].Sent.Frames - before[i ^ 1].Sent.Frames : 0;
                Assert.Equal((size, rings[i / 2], lost), (size, rings[i / 2], after[i].Received.Lost - before[i].Received.Lost));
                Assert.Equal(after[i ^ 1].Sent.Frames, after[i].Received.Frames + after[i].Received.Lost);
                Assert.Equal(0, after[i].Sent.Lost);
            }
        }

        Assert.Null(network.Failure);
    }

    /// <summary>Numbered frames out of one port, through the driver and into another, which captures them.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Forwarded_FramesOfOurs_ComeBackAsTheyWere(int half)
    {
        int[] sizes = [60, 64, 128, 512, 1514, 1518, 4000, 9000];
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Skip(8 * half).Take(8)];
        AssertComeBackAsTheyWere(rings, [.. rings.Select((_, i) => sizes[(i + 3 * half) % sizes.Length])], bufferBytes: 10240, captureLimit: "512K");
    }

    /// <summary>Frames larger than the driver's buffers are spread over several.</summary>
    [Fact]
    public void Generated_JumboFrames_ArePutTogetherByDriversThatMerge()
    {
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Where(r => r.Mergeable)];
        using ServedNetwork network = new();
        foreach (VirtioUserRing _ in rings)
            network.Add("null,generate=9000");

        using Testpmd driver = new(Devices(network, rings, pairs: 1), pairs: 1);
        driver.Run("set fwd rxonly");
        driver.Run("start");
        Await(() => driver.Statistics().All(s => s.Received.Frames >= 500), () => string.Join('\n', driver.Statistics()));
        driver.Run("stop");

        Assert.All(driver.Statistics(), s => Assert.Equal(9000 * s.Received.Frames, s.Received.Bytes));
        Assert.Null(network.Failure);
    }

    /// <summary>
    /// Numbered frames as large as they get, in segments: received in several buffers and sent on as they are. DPDK sends up to seven segments by an indirect table and
    /// more in a chain. In the indirect table of a packed ring the entry of the header, which its driver prepares when it starts (vring_desc_init_indirect_packed, from 20.11 to
    /// 26.07 at least) and never changes, is marked as device-writable and has readable ones behind it. Readable elements come first in every buffer (virtio 1.2 §2.8), and this flag counts in such a table
    /// (§2.8.7). DPDK's own back end does not look at it, QEMU stops the device as we stop the ring. So a packed ring gets more segments here.
    /// </summary>
    [Theory]
    [InlineData(false, 2048)]
    [InlineData(false, 1024)]
    [InlineData(true, 1024)]
    public void Forwarded_JumboFramesInSegments_ComeBackAsTheyWere(bool packed, int bufferBytes)
    {
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Where(r => r.Mergeable && r.Packed == packed)];
        AssertComeBackAsTheyWere(rings, [.. rings.Select(_ => 9000)], bufferBytes, captureLimit: "1M");
    }

    /// <summary>Of drivers that do not merge: each frame is a chain.</summary>
    [Fact]
    public void Sent_JumboFramesInManySegments_AreCountedTheSameOnBothSides()
    {
        const int Segments = 8, SegmentBytes = 1125;
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Where(r => !r.Mergeable)];
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        foreach (VirtioUserRing _ in rings)
            network.Add("null");
        using ControlTalk control = network.Talk();
        using Testpmd driver = new(Devices(network, rings, pairs: 1), pairs: 1);
        driver.Run("set fwd txonly");
        driver.Run($"set txpkts {string.Join(',', Enumerable.Repeat(SegmentBytes, Segments))}");

        driver.Run("start");
        Await(() => control.Statistics().All(s => s.Sent.Frames >= 1000), () => string.Join('\n', control.Statistics()));
        driver.Run("stop");

        Await(() => control.Statistics().SequenceEqual(driver.Statistics()), () => $"{string.Join('\n', control.Statistics())}\n{string.Join('\n', driver.Statistics())}");
        Assert.All(control.Statistics(), s => Assert.Equal(Segments * SegmentBytes * s.Sent.Frames, s.Sent.Bytes));
        Assert.Null(network.Failure);
    }

    /// <summary>
    /// Its driver finds the next back end where it listens itself. (Where it connects, DPDK 22.11 has no way back.) What was on its way is lost.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BackEnd_GoesAndComesBack_TrafficGoesOn(bool packed)
    {
        VirtioUserRing[] rings = [.. VirtioUserRing.All.Where(r => r.Packed == packed)];
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        void AddAll()
        {
            for (int i = 0; i < rings.Length; i++)
                network.Add("null,generate=64", connects: true);
        }

        AddAll();
        using ControlTalk control = network.Talk();
        using Testpmd driver = new(Devices(network, rings, pairs: 1).Select(d => d + ",server=1"), pairs: 1);
        driver.Run("start");
        for (int life = 0; life < 3; life++)
        {
            if (life > 0)
                AddAll();
            Await(() => control.Statistics().All(s => s.Sent.Frames >= 2000 && s.Received.Frames >= 2000), () => $"{string.Join('\n', control.Statistics())}\n{driver.Log}");
            for (int i = 0; i < rings.Length; i++)
                Assert.True(network.Host.Remove($"net{i}"));
        }

        Assert.Null(network.Failure);
    }

    /// <summary>A driver that is killed under load leaves a port on which the next one finds everything as new.</summary>
    [Fact]
    public void Driver_IsKilledAndComesBack_TrafficGoesOn()
    {
        VirtioUserRing[] rings = [new(false, false, false, true), new(true, true, true, false)];
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        using ControlTalk control = network.Talk();
        for (int life = 0; life < 3; life++)
        {
            IReadOnlyList<PortStatistics> before = control.Statistics();
            using Testpmd driver = new(Devices(network, rings, pairs: 2), pairs: 2);
            driver.Run("start tx_first 4");
            Await(() => control.Statistics().Select((s, i) => s.Received.Frames - before[i].Received.Frames >= 2000).All(done => done), () => string.Join('\n', control.Statistics()));
        }

        Assert.Null(network.Failure);
    }

    /// <summary>Ports come and go on a switch that is busy; those that stay lose nothing by it.</summary>
    [Fact]
    public void Ports_AreAddedAndRemovedUnderTraffic_TheOthersGoOn()
    {
        VirtioUserRing[] rings = [new(true, false, true, true), new(false, true, false, false)];
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        network.Add("switch,queues=2");
        network.Add("switch,queues=2");
        using ControlTalk control = network.Talk();
        using Testpmd driver = new(Devices(network, rings, pairs: 2), pairs: 2);
        driver.Run("start tx_first 1");
        for (int i = 0; i < 20; i++)
        {
            string socket = Path.Combine(network.Folder, "guest.sock");
            control.Run("{\"execute\":\"add\",\"arguments\":{\"type\":\"net\",\"port\":\"switch,queues=2,id=guest\",\"socket\":\"" + socket + "\"}}");
            using (NetDriver guest = network.Connect(socket, features: 0, pairs: 2))
            {
                guest.Post(0, 0, 1600);
                // Frames for an address that nobody has are for everybody.
                Await(() => !guest.IsQuiet(0), () => "the new port gets nothing");
                control.Run("""{"execute":"remove","arguments":{"id":"guest"}}""");
            }

            long before = control.Statistics()[0].Received.Frames;
            Await(() => control.Statistics()[0].Received.Frames > before + 100, () => "traffic has ended");
        }

        driver.Run("stop");
        AssertSameCounts(driver, control, [rings[0]]);
        Assert.All(control.Statistics(), s => Assert.Equal(0, s.Received.Lost + s.Sent.Lost));
        Assert.Null(network.Failure);
    }

    /// <summary>Numbered frames of a generator's port for each ring, through the driver, whose buffers have so many bytes, and into a port that captures.</summary>
    private static void AssertComeBackAsTheyWere(VirtioUserRing[] rings, int[] sizes, int bufferBytes, string captureLimit)
    {
        using ServedNetwork network = new(new ServeOptions { IoThreads = 2 });
        for (int i = 0; i < rings.Length; i++)
        {
            network.Add($"null,generate={sizes[i]}");
            network.Add($"null,capture={Capture(network, i)},capture-limit={captureLimit}");
        }

        using (ControlTalk control = network.Talk())
        using (Testpmd driver = new(Devices(network, [.. rings.SelectMany(r => new[] { r, r })], pairs: 1), pairs: 1, bufferBytes))
        {
            AssertVectorized(driver, rings);
            driver.Run("start");
            Await(() => control.Statistics().Where((_, i) => i % 2 == 1).All(s => s.Sent.Frames >= 1000), () => string.Join('\n', control.Statistics()));
            driver.Run("stop");
            IReadOnlyList<PortStatistics> theirs = driver.Statistics();
            Await(() => control.Statistics().Where((s, i) => i % 2 == 1 && s.Sent.Frames == theirs[i].Sent.Frames && s.Sent.Bytes == theirs[i].Sent.Bytes).Count() == rings.Length,
                () => $"{string.Join('\n', control.Statistics())}\n{string.Join('\n', theirs)}");
        }

        for (int i = 0; i < 2 * rings.Length; i++)
            Assert.True(network.Host.Remove($"net{i}"));
        for (int i = 0; i < rings.Length; i++)
            AssertNumbered(File.ReadAllBytes(Capture(network, i)), sizes[i]);
        Assert.Null(network.Failure);
    }

    private static IEnumerable<string> Devices(ServedNetwork network, IReadOnlyList<VirtioUserRing> rings, int pairs) =>
        rings.Select((ring, i) => $"net_virtio_user{i},path={network.SocketOf(i)},queues={pairs},mac=02:00:00:00:01:{i:x2},{ring}");

    private static string Capture(ServedNetwork network, int index) => Path.Combine(network.Folder, $"{index}.pcap");

    /// <summary>Vector instructions are used where they are asked for and nothing stands against them; packed rings want AVX-512.</summary>
    private static void AssertVectorized(Testpmd driver, IReadOnlyList<VirtioUserRing> rings)
    {
        for (int i = 0; i < rings.Count; i++)
        {
            if (rings[i] is { Packed: false, Vectorized: true, Mergeable: false, InOrder: false })
                AwaitLog(driver, $"using vectorized Rx path on port {2 * i}\n");
            if (rings[i] is { Packed: true, Vectorized: true, InOrder: true } && System.Runtime.Intrinsics.X86.Avx512F.IsSupported)
                AwaitLog(driver, $"using packed ring vectorized Tx path on port {2 * i}\n");
        }
    }

    /// <summary>Its log comes by another pipe than its answers.</summary>
    private static void AwaitLog(Testpmd driver, string line) => Await(() => driver.Log.Contains(line, StringComparison.Ordinal), () => $"no line: {line}");

    /// <summary>What is on its way when forwarding stops is received before counters are compared.</summary>
    private static void AssertSameCounts(Testpmd driver, ControlTalk control, IReadOnlyList<VirtioUserRing> rings)
    {
        driver.Run("set fwd rxonly");
        driver.Run("start");
        IReadOnlyList<PortStatistics> ours = [], theirs = [];
        Await(() => (ours = control.Statistics()).Select(s => s with { Received = s.Received with { Lost = 0 } }).SequenceEqual(theirs = driver.Statistics()),
            () => string.Join('\n', ours.Zip(theirs).Select((c, i) => $"{rings[i / 2]}: {c}")));
        driver.Run("stop");
    }

    /// <summary>A capture of frames of the generator of this size, some of which may have been lost on the way, but none changed or moved.</summary>
    private static void AssertNumbered(ReadOnlySpan<byte> capture, int size)
    {
        const int FileHeader = 24, RecordHeader = 16, Number = 14;
        byte[] expected = [.. Enumerable.Range(0, size).Select(i => (byte)i)];
        capture[(FileHeader + RecordHeader)..][..Number].CopyTo(expected);
        ulong next = 0;
        int frames = 0;
        for (ReadOnlySpan<byte> left = capture[FileHeader..]; !left.IsEmpty; left = left[(RecordHeader + size)..], frames++)
        {
            Assert.Equal((uint)size, BinaryPrimitives.ReadUInt32LittleEndian(left[8..]));
            ReadOnlySpan<byte> frame = left.Slice(RecordHeader, size);
            ulong number = BinaryPrimitives.ReadUInt64BigEndian(frame[Number..]);
            Assert.True(number >= next, $"frame {number} came after {next}");
            next = number + 1;
            BinaryPrimitives.WriteUInt64BigEndian(expected.AsSpan(Number), number);
            Assert.True(frame.SequenceEqual(expected), $"frame {number} of {size} bytes is not as it was");
        }

        Assert.InRange(frames, 50, int.MaxValue);
    }
}
