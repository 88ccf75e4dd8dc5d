using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.TestKit.Vhost;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Block;
using KvmSharp.Virtio.Queues;
using Microsoft.Extensions.Logging.Abstractions;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Virtio.Tests.Devices.Block;

/// <summary>Our front end against a back end that we did not write.</summary>
public sealed class VhostUserBlockTests : IDisposable
{
    private const int ImageBytes = 1 << 20, Block = 4096;
    private const ulong Header = Data, Status = Data + 0x1000, Buffer = Data + 0x2000;

    private readonly StorageDaemon _daemon = new(ImageBytes, queues: 2);
    private VhostUserBackend? _backend;
    private VirtioDeviceBed? _bed;

    public void Dispose()
    {
        _bed?.Dispose();
        _backend?.Dispose();
        _daemon.Dispose();
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc)]
    public void WriteAndRead_ThroughStorageDaemon_ReachesItsImage(ulong features)
    {
        VirtioDeviceBed bed = Start(features);
        byte[] content = new byte[Block];
        new Random(1).NextBytes(content);

        bed.WriteMemory(Buffer, content);
        Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_OUT, sector: 8, write: true));
        Assert.Equal(0, Run(bed, 1, VirtioBlk.VIRTIO_BLK_T_FLUSH, sector: 0, write: true, data: false));
        bed.WriteMemory(Buffer, new byte[Block]);
        Assert.Equal(0, Run(bed, 1, VirtioBlk.VIRTIO_BLK_T_IN, sector: 8, write: false));

        Assert.Equal(content, bed.ReadMemory(Buffer, Block));
        Assert.Equal(content, File.ReadAllBytes(_daemon.Image).AsSpan(Block, Block).ToArray());
        Assert.Empty(bed.Interrupt.Faults);
    }

    [Fact]
    public void Identity_OfTheDaemonsDisk_IsPassedOn()
    {
        VirtioDeviceBed bed = Start(0);
        byte[] config = new byte[bed.Device.Identity.ConfigLength];
        bed.Device.ReadConfig(0, config);

        Assert.Equal((ulong)ImageBytes / 512, BinaryPrimitives.ReadUInt64LittleEndian(config));
        Assert.Equal(2, BinaryPrimitives.ReadUInt16LittleEndian(config.AsSpan(34)));
        Assert.NotEqual(0UL, bed.Device.Identity.DeviceFeatures & 1UL << VirtioBlk.VIRTIO_BLK_F_FLUSH);
    }

    /// <summary>Each write must be answered, with success, and be in the image, whichever daemon it met.</summary>
    [Fact]
    public void BackEndIsKilledAndStartedAgain_WhileWriting_LosesNothing()
    {
        const int Deaths = 3, WritesPerLife = 60;
        VirtioDeviceBed bed = Start(VirtioFeatures.EventIdx);
        int block = 0;
        for (int life = 0; life <= Deaths; life++)
        {
            for (int i = 0; i < WritesPerLife; i++, block++)
            {
                if (i == WritesPerLife / 2 && life < Deaths)
                    Replace();
                bed.WriteMemory(Buffer, Pattern(block));
                Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_OUT, sector: (ulong)(block % (ImageBytes / Block)) * (Block / 512), write: true));
            }
        }

        Assert.Empty(bed.Interrupt.Faults);
        using FileStream image = File.OpenRead(_daemon.Image);
        for (int i = 0; i < block; i++)
        {
            byte[] found = new byte[Block];
            image.Position = (long)(i % (ImageBytes / Block)) * Block;
            image.ReadExactly(found);
            Assert.Equal(Pattern(i), found);
        }
    }

    [Fact]
    public void StopAndStartQueue_WhileBackEndIsGone_GoesOnWithTheNext()
    {
        VirtioDeviceBed bed = Start(0);
        Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_OUT, sector: 0, write: true));
        _daemon.Kill();
        SpinWait.SpinUntil(() => _backend!.Connection is null, 5000);

        var state = bed.Device.StopQueue(0);
        Assert.NotNull(state);
        bed.StartQueue(0, state.Value);
        _daemon.Start();

        Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_OUT, sector: 8, write: true));
        Assert.Empty(bed.Interrupt.Faults);
    }

    [Fact]
    public void BackEndDies_PackedRings_NeedAResetAndStartAnew()
    {
        const uint SetVringBase = 10, SetVringEnable = 18;
        const uint InitialPosition = 0x8000_8000; // both wrap counters
        VirtioDeviceBed bed;
        using (new FakeVhostUserBackend(_daemon.Socket, VirtioFeatures.RingPacked))
        {
            _backend = VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256));
            bed = Open(VirtioFeatures.RingPacked);
        }

        Assert.True(bed.Interrupt.WaitForFault());
        using FakeVhostUserBackend next = new(_daemon.Socket, VirtioFeatures.RingPacked);
        Assert.True(SpinWait.SpinUntil(() => !next.Heard.IsEmpty && _backend.Connection is not null, 20000));
        Assert.DoesNotContain(next.Heard, heard => heard.Request == SetVringEnable);
        bed.Device.StopQueue(1);
        bed.StartQueue(1, VirtQueueState.Initial(VirtioFeatures.RingPacked));

        Assert.Contains((SetVringBase, 1u, InitialPosition), next.Heard);
        Assert.Contains((SetVringEnable, 1u, 1u), next.Heard);
    }

    /// <summary>qemu-storage-daemon 7.2 says nothing when its image changes, not even by its own block_resize.</summary>
    [Fact]
    public void ConfigChange_SaidByTheBackEnd_ReachesTheGuestOnce()
    {
        using FakeVhostUserBackend peer = new(_daemon.Socket, 0, FakeVhostUserBackend.MultiQueue | FakeVhostUserBackend.ReplyAck | FakeVhostUserBackend.Config | FakeVhostUserBackend.BackendReq);
        _backend = VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256));
        VirtioDeviceBed bed = Open(0);
        BinaryPrimitives.WriteUInt64LittleEndian(peer.ConfigSpace, 4096);

        peer.Say(FakeVhostUserBackend.Message(request: 2, flags: 1, []));
        peer.Say(FakeVhostUserBackend.Message(request: 2, flags: 1, []));

        Assert.True(SpinWait.SpinUntil(() => Sectors(bed) == 4096, 10000));
        Assert.True(SpinWait.SpinUntil(() => peer.Heard.Count(h => h.Request == FakeVhostUserBackend.GetConfig) >= 2, 10000));
        Assert.Equal(1, bed.Interrupt.ConfigSignals);
    }

    [Fact]
    public void Resize_WhileTheDaemonIsGone_IsSeenWhenTheNextOneIsThere()
    {
        VirtioDeviceBed bed = Start(0);
        _daemon.Kill();
        using (FileStream image = File.OpenWrite(_daemon.Image))
            image.SetLength(4 * ImageBytes);
        _daemon.Start();

        Assert.True(SpinWait.SpinUntil(() => Sectors(bed) == 4UL * ImageBytes / 512, 10000));
        Assert.Equal(1, bed.Interrupt.ConfigSignals);
    }

    /// <summary>Of a request that reads from the disk: the data, the status and the used ring.</summary>
    [Fact]
    public void Log_OfTheDaemon_HasThePagesThatItWroteTo()
    {
        VirtioDeviceBed bed = Start(0);
        using VhostUserLog log = new(bed.Memory);
        Assert.True(_backend!.TryStartLog(log));

        Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_IN, sector: 0, write: false));

        List<ulong> pages = [];
        Assert.True(SpinWait.SpinUntil(() => log.TryTake(pages, 1000) && pages.Count >= 3, 5000));
        Assert.Contains(Buffer >> 12, pages);
        Assert.Contains(Status >> 12, pages);
        Assert.Contains(bed.Drivers[0].DeviceArea >> 12, pages);
        _backend.StopLog();
        Assert.Equal(0, Run(bed, 0, VirtioBlk.VIRTIO_BLK_T_IN, sector: 0, write: false));
        Assert.True(log.TryTake(pages, 1000));
    }

    [Fact]
    public void Connect_PeerIsSilent_SaysSoInTime()
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_daemon.Socket));
        listener.Listen();

        BackendException error = Assert.Throws<BackendException>(() => VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256)));

        Assert.StartsWith($"what is behind {_daemon.Socket} does not answer within 5 s", error.Message, StringComparison.Ordinal);
    }

    /// <summary>One that lives again and again for a moment only is not asked for more and more often, nor logged about.</summary>
    [Fact]
    public void BackEndDiesAtOnceEachTime_IsLookedForLessOften()
    {
        using (new FakeVhostUserBackend(_daemon.Socket, 0))
        {
            _backend = VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256));
            Open(0);
        }

        int lives = 0;
        Stopwatch time = Stopwatch.StartNew();
        while (time.ElapsedMilliseconds < 2000)
        {
            using FakeVhostUserBackend next = new(_daemon.Socket, 0);
            if (SpinWait.SpinUntil(() => !next.Heard.IsEmpty, (int)Math.Max(0, 2000 - time.ElapsedMilliseconds)))
                lives++;
        }

        // After 0.2, 0.4, 0.8 and 1.6 s; on a busy host one more may count twice. Always after 0.2 s would be ten.
        Assert.InRange(lives, 1, 6);
    }

    [Fact]
    public void BackEndHangsUpBeforeItAnswers_IsLookedForLessOften()
    {
        using (new FakeVhostUserBackend(_daemon.Socket, 0))
        {
            _backend = VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256));
            Open(0);
        }

        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_daemon.Socket));
        listener.Listen();
        int calls = 0;
        Stopwatch time = Stopwatch.StartNew();
        while (time.ElapsedMilliseconds < 2000)
        {
            if (!listener.Poll(TimeSpan.FromMilliseconds(Math.Max(1, 2000 - time.ElapsedMilliseconds)), SelectMode.SelectRead))
                continue;
            listener.Accept().Dispose();
            calls++;
        }

        // After 0.2, 0.4, 0.8 and 1.6 s. Always after 0.2 s would be ten.
        Assert.InRange(calls, 1, 5);
    }

    [Fact]
    public void Connect_NobodyListens_SaysSo()
    {
        BackendException error = Assert.Throws<BackendException>(() => VhostUserBackend.Connect("/nonexistent/s", VhostUserOptions.Disk(256)));
        Assert.Equal("nothing listens on /nonexistent/s: start the vhost-user back end first", error.Message);
    }

    [Theory]
    [InlineData("garbage")]
    [InlineData("huge")]
    [InlineData("wrong request")]
    [InlineData("hang-up")]
    public void Connect_PeerDoesNotSpeakIt_SaysSo(string manner)
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_daemon.Socket));
        listener.Listen();
        Thread peer = new(() =>
        {
            using Socket accepted = listener.Accept();
            byte[] heard = new byte[12];
            accepted.Receive(heard);
            accepted.Send(manner switch
            {
                "garbage" => Enumerable.Repeat((byte)0xA5, 200).ToArray(),
                "huge" => Message(1, 5, uint.MaxValue),
                "wrong request" => Message(15, 5, 8),
                _ => [],
            });
        });
        peer.Start();

        BackendException error = Assert.Throws<BackendException>(() => VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256)));

        Assert.StartsWith($"what is behind {_daemon.Socket} does not speak vhost-user", error.Message, StringComparison.Ordinal);
        peer.Join();
    }

    private static byte[] Message(uint request, uint flags, uint size)
    {
        byte[] message = new byte[20];
        BinaryPrimitives.WriteUInt32LittleEndian(message, request);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), size);
        return message;
    }

    private static byte[] Pattern(int block) => [.. Enumerable.Range(0, Block).Select(i => (byte)(block * 7 + i))];

    private VirtioDeviceBed Start(ulong features)
    {
        _daemon.Start();
        _backend = VhostUserBackend.Connect(_daemon.Socket, VhostUserOptions.Disk(256));
        return Open(features);
    }

    private VirtioDeviceBed Open(ulong features)
    {
        _bed = new VirtioDeviceBed(loop => new VhostUserBlock(new VirtioBlockOptions { Queues = 2 }, _backend!, loop, NullLogger.Instance), features);
        _bed.Start();
        return _bed;
    }

    /// <summary>Kills the daemon at a moment that is not known, with a request on its way or not.</summary>
    private void Replace()
    {
        Thread killer = new(() =>
        {
            _daemon.Kill();
            _daemon.Start();
        });
        killer.Start();
        killer.Join(Random.Shared.Next(0, 40));
    }

    private static ulong Sectors(VirtioDeviceBed bed)
    {
        byte[] capacity = new byte[8];
        bed.Device.ReadConfig(0, capacity);
        return BinaryPrimitives.ReadUInt64LittleEndian(capacity);
    }

    private static byte Run(VirtioDeviceBed bed, int queue, uint type, ulong sector, bool write, bool data = true)
    {
        Span<byte> header = stackalloc byte[16];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], sector);
        bed.WriteMemory(Header, header);
        bed.WriteMemory(Status, [0xFF]);
        List<DriverBuffer> chain = [new(Header, 16, false)];
        if (data)
            chain.Add(new(Buffer, Block, !write));
        chain.Add(new(Status, 1, true));
        Assert.True(bed.Drivers[queue].TryAdd([.. chain], 1));
        bed.Submit(queue);
        Stopwatch patience = Stopwatch.StartNew();
        Assert.Equal(1, bed.Take(queue, out _));
        Assert.True(patience.Elapsed < TimeSpan.FromSeconds(20));
        return bed.ReadMemory(Status, 1)[0];
    }
}
