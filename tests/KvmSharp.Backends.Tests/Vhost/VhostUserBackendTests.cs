using System.Buffers.Binary;
using KvmSharp.Backends.Vhost;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit.Vhost;
using KvmSharp.Virtio;
using static KvmSharp.TestKit.Vhost.FakeVhostUserBackend;

namespace KvmSharp.Backends.Tests.Vhost;

/// <summary>What a back end is told, and what becomes of one that answers what it should not.</summary>
public sealed class VhostUserBackendTests : IDisposable
{
    private const ulong Version1 = VirtioFeatures.Version1;
    private const ulong DescriptorArea = 0x1000, DriverArea = 0x2000, DeviceArea = 0x3000;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-vhost-user-");
    private readonly GuestMemory _memory = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 1 << 20 });
    private readonly EventFd _kick = new(), _call = new(), _error = new();
    private FakeVhostUserBackend? _peer;
    private VhostUserBackend? _backend;

    private string Path => System.IO.Path.Combine(_folder.FullName, "s");

    public void Dispose()
    {
        _backend?.Dispose();
        _peer?.Dispose();
        _memory.Dispose();
        _kick.Dispose();
        _call.Dispose();
        _error.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void SetMemory_Slots_AreAddedOnceAndReplaced()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | ConfigureMemSlots);
        using GuestMemory next = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 2 << 20 });

        backend.SetMemory(_memory);
        backend.SetMemory(_memory);
        backend.SetMemory(next);

        (uint, ulong)[] slots = [.. _peer!.Messages.Where(m => m.Request is AddMemReg or RemMemReg or SetMemTable).Select(m => (m.Request, Number(m.Payload, 16)))];
        Assert.Equal([(AddMemReg, 1UL << 20), (RemMemReg, 1UL << 20), (AddMemReg, 2UL << 20)], slots);
        Assert.True(_peer.Received.ContainsKey(AddMemReg));
    }

    [Fact]
    public void SetMemory_TooFewSlots_GivesTheBackEndUp()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | ConfigureMemSlots);
        _peer!.MemorySlots = 0;

        backend.SetMemory(_memory);

        Assert.Null(backend.Connection);
    }

    [Fact]
    public void Status_FollowsTheDriver()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | Status | ResetDeviceFeature);

        Begin(backend, Version1);
        _ = backend.TryStopVring(0, out _);
        backend.Reset();
        backend.Reset();

        Assert.Equal([3u, 11, 15, 0], _peer!.Heard.Where(h => h.Request == SetStatus).Select(h => h.First));
        uint[] order = [.. _peer.Heard.Select(h => h.Request).Where(r => r is SetStatus or SetFeatures or SetVringEnable or ResetDevice)];
        Assert.Equal([SetStatus, SetFeatures, SetStatus, SetVringEnable, SetStatus, SetStatus, ResetDevice], order);
    }

    [Fact]
    public void SetFeatures_BackEndDoesNotTakeThem_IsGivenUp()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | Status);
        _peer!.RefusedStatus = 8;

        backend.SetFeatures(Version1);

        Assert.Null(backend.Connection);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(0)]
    public void Log_IsSaidWholeAndAgainToTheNextOne(int answerBytes)
    {
        VhostUserBackend backend = Connect(LogAll, ReplyAck | LogShmFd);
        _peer!.LogAnswerBytes = answerBytes;
        using VhostUserLog log = new(_memory);
        Begin(backend, Version1);
        _peer.Forget();

        Assert.True(backend.TryStartLog(log));
        Assert.Equal(log.SizeBytes, Number(_peer.WaitFor(SetLogBase), 0));
        Assert.Equal(LogAll, Number(_peer.WaitFor(SetFeatures), 0) & LogAll);
        Assert.Equal((1u, DeviceArea), Logged(_peer.WaitFor(SetVringAddr)));
        Assert.True(_peer.Received.ContainsKey(SetLogBase));

        _peer.Forget();
        backend.GiveUp();
        Assert.True(backend.TryReconnect(out _));
        Assert.NotEmpty(_peer.WaitFor(SetLogBase));
        Assert.Equal((1u, DeviceArea), Logged(_peer.WaitFor(SetVringAddr)));

        _peer.Forget();
        backend.StopLog();
        Assert.Equal(0UL, Number(_peer.WaitFor(SetFeatures), 0) & LogAll);
        Assert.Equal((0u, 0UL), Logged(_peer.WaitFor(SetVringAddr)));
    }

    [Fact]
    public void TryStartLog_BackEndCannot_SaysSo()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | LogShmFd);
        using VhostUserLog log = new(_memory);

        Assert.False(backend.TryStartLog(log));
    }

    [Fact]
    public unsafe void Log_BitsOfTheBackEnd_AreTakenOnce()
    {
        using VhostUserLog log = new(_memory);
        using MappedRegion bits = MappedRegion.MapShared(log.File, log.SizeBytes);
        bits.Pointer[0] = 0x81;
        bits.Pointer[31] = 0x80;

        List<ulong> pages = [], rest = [];
        Assert.True(log.TryTake(pages, 1000));
        Assert.True(log.TryTake(rest, 1000));

        Assert.Equal([0UL, 7, 255], pages);
        Assert.Empty(rest);
        Assert.Equal(32UL, log.SizeBytes);
    }

    [Fact]
    public void Mtu_IsSaid_AndToTheNextOneToo()
    {
        VhostUserBackend backend = Connect(0, ReplyAck | NetMtu, VhostUserOptions.Net(256, 1400));
        Assert.Equal(1400UL, Number(_peer!.WaitFor(NetSetMtu), 0));

        _peer.Forget();
        backend.GiveUp();
        Assert.True(backend.TryReconnect(out _));

        Assert.Equal(1400UL, Number(_peer.WaitFor(NetSetMtu), 0));
    }

    [Fact]
    public void Mtu_IsRefused_IsAnErrorOfOneLine()
    {
        _peer = new FakeVhostUserBackend(Path, 0, ReplyAck | NetMtu) { Refused = NetSetMtu };

        BackendException error = Assert.Throws<BackendException>(() => VhostUserBackend.Connect(Path, VhostUserOptions.Net(256, 60000)));

        Assert.Contains("the back end refuses NetSetMtu", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Rarp_HasTheAddressInItsFirstBytes()
    {
        VhostUserBackend backend = Connect(0, Rarp, VhostUserOptions.Net(256, null));

        backend.SendRarp([0x52, 0x54, 0, 1, 2, 3]);

        Assert.Equal([0x52, 0x54, 0, 1, 2, 3, 0, 0], _peer!.WaitFor(SendRarp));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TryEnableVring_IsSaidToWhoeverHasIt(bool running)
    {
        VhostUserBackend backend = Connect(0, ReplyAck);
        if (running)
            Begin(backend, Version1);
        _peer!.Forget();

        Assert.True(backend.TryEnableVring(0, false));
        Assert.Equal(running, _peer.Heard.Contains((SetVringEnable, 0u, 0u)));
        if (!running)
            Begin(backend, Version1);

        Assert.Contains((SetVringEnable, 0u, 0u), _peer.Heard);
        Assert.DoesNotContain((SetVringEnable, 0u, 1u), _peer.Heard);
    }

    /// <summary>Whatever it is asked when: a wrong answer, an answer to something else, too much, nothing and a hang-up cost the connection.</summary>
    [Theory]
    [InlineData(GetVringBase, "short")]
    [InlineData(GetVringBase, "long")]
    [InlineData(GetVringBase, "other")]
    [InlineData(GetVringBase, "huge")]
    [InlineData(GetVringBase, "garbage")]
    [InlineData(GetVringBase, "silence")]
    [InlineData(SetVringEnable, "short")]
    [InlineData(SetVringEnable, "garbage")]
    [InlineData(SetMemTable, "other")]
    [InlineData(SetLogBase, "huge")]
    [InlineData(GetInflightFd, "short")]
    [InlineData(GetInflightFd, "right")]
    [InlineData(GetConfig, "long")]
    public void Running_RudeAnswer_CostsTheConnectionOnly(uint request, string manner)
    {
        VhostUserBackend backend = Connect(LogAll, ReplyAck | LogShmFd | InflightShmFd * (request == GetInflightFd ? 1UL : 0) | Config, VhostUserOptions.Disk(16));
        _peer!.Rudeness = asked => asked != request ? null : manner switch
        {
            "short" => Message(request, 5, new byte[4]),
            "long" => Message(request, 5, new byte[500]),
            "other" => Message(request + 1, 5, new byte[8]),
            "huge" => Message(request, 5, new byte[8], length: uint.MaxValue),
            "garbage" => [.. Enumerable.Repeat((byte)0xA5, 200)],
            "silence" => [],
            _ => null, // but without the descriptor that has to come
        };

        Begin(backend, Version1);
        using VhostUserLog log = new(_memory);
        _ = backend.TryStartLog(log);
        byte[] config = new byte[60];
        _ = backend.TryReadConfig(config);
        bool stopped = backend.TryStopVring(0, out uint position);

        Assert.Null(backend.Connection);
        Assert.True(stopped); // where a split vring stands is in the ring
        Assert.Equal(0u, position);
    }

    [Fact]
    public void Answers_WithDescriptorsNobodyAskedFor_CloseThem()
    {
        using EventFd extra = new();
        int before = OpenFiles();
        using (FakeVhostUserBackend peer = new(Path, 0, ReplyAck | MultiQueue) { Extra = extra })
        using (VhostUserBackend backend = VhostUserBackend.Connect(Path, VhostUserOptions.Disk(16)))
        {
            Begin(backend, Version1);
            Assert.NotNull(backend.Connection);
        }

        Assert.True(SpinWait.SpinUntil(() => OpenFiles() <= before, 5000));
    }

    [Theory]
    [InlineData(false, 0x8003)]
    [InlineData(true, 0x0001)]
    public unsafe void TryReconnect_PackedRingInFlight_GoesOnWhereTheRegionSays(bool givenBack, int expected)
    {
        using GuestMemory region = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4096 });
        region.TryWrite(new GuestAddress(8), (ushort)1);
        region.TryWrite(new GuestAddress(16), (ushort)1); // used_idx, behind what it was about to give back
        region.TryWrite(new GuestAddress(18), (ushort)3); // old_used_idx
        region.TryWrite(new GuestAddress(20), (ushort)(1 << 8)); // wrap counters: 0, old 1
        VhostUserBackend backend = Connect(VirtioFeatures.RingPacked, ReplyAck | InflightShmFd, VhostUserOptions.Disk(16));
        _peer!.InflightFile = region.File;
        Begin(backend, Version1 | VirtioFeatures.RingPacked);
        // The descriptor at 3: available with a wrap counter of 1, or used.
        _memory.TryWrite(new GuestAddress(DescriptorArea + 3 * 16 + 14), (ushort)(1 << 7 | (givenBack ? 1 << 15 : 0)));
        _peer.Forget();

        backend.GiveUp();
        Assert.False(backend.LosesPositions);
        Assert.True(backend.TryReconnect(out _));

        _peer.WaitFor(SetVringEnable);
        uint position = (uint)expected;
        Assert.Contains((SetVringBase, 0u, position | position << 16), _peer.Heard);
        Assert.Contains(_peer.Heard, h => h.Request == SetInflightFd);
    }

    /// <summary>What a dead back end had in flight is the next one's only while the driver waits for it.</summary>
    [Fact]
    public void Reset_DriverStartsAnew_NextBackEndHasNothingInFlight()
    {
        using GuestMemory region = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4096 });
        VhostUserBackend backend = Connect(0, ReplyAck | InflightShmFd, VhostUserOptions.Disk(16));
        _peer!.InflightFile = region.File;
        Begin(backend, Version1);
        backend.GiveUp();
        _ = backend.TryStopVring(0, out _);
        backend.Reset();
        Assert.True(backend.TryReconnect(out _));
        _peer.Forget();

        Begin(backend, Version1);

        Assert.Equal([GetInflightFd, SetInflightFd], _peer.Heard.Select(h => h.Request).Where(r => r is GetInflightFd or SetInflightFd));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void ForgetVring_ItsBackEndDied_NothingIsInFlightInItAlone(bool died, bool fresh)
    {
        const int Part = 2048;
        using GuestMemory region = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 2 * Part });
        byte[] notes = [.. Enumerable.Repeat((byte)0xA5, Part)], found = new byte[Part];
        VhostUserBackend backend = Connect(0, MultiQueue | ReplyAck | InflightShmFd, VhostUserOptions.Disk(16));
        _peer!.InflightFile = region.File;
        Begin(backend, Version1);
        Assert.True(region.TryWrite(default, notes) && region.TryWrite(new GuestAddress(Part), notes));

        if (died)
            backend.GiveUp();
        Assert.True(backend.TryStopVring(0, out _));
        if (fresh)
            backend.ForgetVring(0);

        Assert.True(region.TryRead(default, found));
        Assert.Equal(died && fresh ? new byte[Part] : notes, found);
        Assert.True(region.TryRead(new GuestAddress(Part), found));
        Assert.Equal(notes, found);
    }

    [Theory]
    [InlineData(1UL << 40)]
    [InlineData(1UL << 29)]
    [InlineData(0UL)]
    public void ForgetVring_RegionIsNonsense_NewOneIsAskedFor(ulong bytes)
    {
        using GuestMemory region = GuestMemory.Create(new GuestMemoryOptions { SizeBytes = 4096 });
        VhostUserBackend backend = Connect(0, ReplyAck | InflightShmFd, VhostUserOptions.Disk(16));
        (_peer!.InflightFile, _peer.InflightBytes) = (region.File, bytes);
        Begin(backend, Version1);
        backend.GiveUp();
        _ = backend.TryStopVring(0, out _);
        _peer.Forget();

        backend.ForgetVring(0);
        Assert.True(backend.TryReconnect(out _));
        Begin(backend, Version1);

        Assert.Equal(bytes != 0, _peer.Heard.Any(h => h.Request == GetInflightFd));
    }

    [Fact]
    public void GiveUp_PackedRingAndNothingWrittenDown_LosesPositions()
    {
        VhostUserBackend backend = Connect(VirtioFeatures.RingPacked, ReplyAck);
        Begin(backend, Version1 | VirtioFeatures.RingPacked);

        backend.GiveUp();

        Assert.True(backend.LosesPositions);
    }

    /// <summary>The queue pairs that a network's driver does not use: nobody has taken anything.</summary>
    [Fact]
    public void GiveUp_PackedRingThatWasNeverEnabled_GoesOnWhereItBegan()
    {
        const uint Position = 0x8003_8003;
        VhostUserBackend backend = Connect(VirtioFeatures.RingPacked, ReplyAck);
        Assert.True(backend.TryEnableVring(0, enabled: false));
        Begin(backend, Version1 | VirtioFeatures.RingPacked, Position);
        _peer!.Forget();

        backend.GiveUp();
        Assert.False(backend.LosesPositions);
        Assert.True(backend.TryReconnect(out _));

        _peer.WaitFor(SetVringEnable);
        Assert.Contains((SetVringBase, 0u, Position), _peer.Heard);
        Assert.True(backend.TryEnableVring(0, enabled: true));
        backend.GiveUp();
        Assert.True(backend.LosesPositions);
    }

    [Fact]
    public void Accept_WaitsForOneThatSpeaksIt_AndTakesTheNextOneLater()
    {
        List<string> said = [];
        Thread visitors = new(() =>
        {
            SpinWait.SpinUntil(() => File.Exists(Path), 5000);
            using (System.Net.Sockets.Socket stranger = new(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified))
                stranger.Connect(new System.Net.Sockets.UnixDomainSocketEndPoint(Path));
            Thread.Sleep(300);
            _peer = new FakeVhostUserBackend(Path, connects: true);
        });
        visitors.Start();

        _backend = VhostUserBackend.Accept(Path, VhostUserOptions.Net(256, null), said.Add, CancellationToken.None);
        visitors.Join();

        Assert.Equal($"waiting for a vhost-user back end to connect to {Path}", said[0]);
        Assert.StartsWith($"what is behind {Path} does not speak vhost-user", said[1], StringComparison.Ordinal);
        Assert.Equal(3, said.Count);
        _peer!.Dispose();
        Assert.False(_backend.TryReconnect(out _));
        _peer = new FakeVhostUserBackend(Path, connects: true);
        Assert.True(SpinWait.SpinUntil(() => _backend.TryReconnect(out _), 5000));
        _backend.Dispose();
        Assert.False(File.Exists(Path));
    }

    [Fact]
    public void Accept_NobodyComes_EndsWhenAsked()
    {
        using CancellationTokenSource stop = new(200);

        Assert.Throws<OperationCanceledException>(() => VhostUserBackend.Accept(Path, VhostUserOptions.Net(256, null), _ => { }, stop.Token));

        Assert.False(File.Exists(Path));
    }

    [Fact]
    public void Connect_NotASocket_SaysSo()
    {
        File.WriteAllText(Path, "");

        BackendException error = Assert.Throws<BackendException>(() => VhostUserBackend.Connect(Path, VhostUserOptions.Disk(16)));

        Assert.Equal($"{Path} is no socket on which somebody listens: start the vhost-user back end first", error.Message);
    }

    private static int OpenFiles() => Directory.GetFileSystemEntries("/proc/self/fd").Length;

    private static ulong Number(byte[] payload, int at) => BinaryPrimitives.ReadUInt64LittleEndian(payload.AsSpan(at));

    /// <summary>Of vhost_vring_addr, flags and log_guest_addr.</summary>
    private static (uint Flags, ulong Address) Logged(byte[] payload) => (BinaryPrimitives.ReadUInt32LittleEndian(payload.AsSpan(4)), Number(payload, 32));

    private VhostUserBackend Connect(ulong features, ulong protocol, VhostUserOptions? options = null)
    {
        _peer = new FakeVhostUserBackend(Path, features, protocol);
        return _backend = VhostUserBackend.Connect(Path, options ?? VhostUserOptions.Disk(16));
    }

    /// <summary>Negotiates and starts vring 0.</summary>
    private unsafe void Begin(VhostUserBackend backend, ulong features, uint position = 0)
    {
        Assert.True(_memory.TryGetPointer(default, 0x4000, out byte* host));
        backend.SetFeatures(features);
        backend.SetMemory(_memory);
        backend.SetVringSize(0, 16);
        backend.SetVringBase(0, position);
        backend.SetVringAreas(0, new VhostAreas(
            new(new(DescriptorArea), (nint)(host + DescriptorArea)), new(new(DriverArea), (nint)(host + DriverArea)), new(new(DeviceArea), (nint)(host + DeviceArea))));
        backend.SetVringError(0, _error);
        backend.SetVringCall(0, _call);
        backend.SetVringKick(0, _kick);
        backend.StartVring(0);
    }
}
