using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioBlk;
using static KvmSharp.Virtio.Tests.Devices.Block.BlockFixture;

namespace KvmSharp.Virtio.Tests.Devices.Block;

public sealed class BlockQueueWorkerTests
{
    private const int DiskBytes = 1 << 20;

    public static TheoryData<ulong> Rings =>
    [
        0, VirtioFeatures.EventIdx, VirtioFeatures.InOrder, VirtioFeatures.RingPacked, VirtioFeatures.RingPacked | VirtioFeatures.EventIdx,
        VirtioFeatures.RingPacked | VirtioFeatures.InOrder,
    ];

    [Theory]
    [MemberData(nameof(Rings))]
    public void WriteThenRead_EachRing_ReturnsSameBytes(ulong features)
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk, features | VirtioFeatures.IndirectDesc);
        new Random(1).NextBytes(fixture.Bytes(Data, 8192));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_OUT, 8, Out(4096), Out(4096, 4096)));
        Assert.True(disk.Data.Slice(4096, 8192).SequenceEqual(fixture.Bytes(Data, 8192)));
        fixture.Add(2, VIRTIO_BLK_T_IN, 8, indirect: true, In(100, 0x10000), In(8092, 0x10064));
        fixture.Kickoff();
        Assert.Equal(2, fixture.Take(out uint written));
        Assert.Equal(8193u, written);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Status(2));
        Assert.True(fixture.Bytes(Data, 8192).SequenceEqual(fixture.Bytes(Data + 0x10000, 8192)));
    }

    [Fact]
    public void Request_HeaderDataAndStatusInOddPieces_IsUnderstood()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        fixture.Bytes(Data, 16).Clear();
        fixture.Bytes(Data, 16)[0] = (byte)VIRTIO_BLK_T_OUT;
        fixture.Bytes(Data + 16, 512).Fill(0x5c);
        // Header and data in one buffer, cut in the middle of the header; status behind other writable bytes.
        Assert.True(fixture.Driver.TryAdd([new(Data, 7, false), new(Data + 7, 521, false), new(Data + 0x1000, 3, true)], 5));
        fixture.Kickoff();
        Assert.Equal(5, fixture.Take(out uint written));
        Assert.Equal(3u, written);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Bytes(Data + 0x1002, 1)[0]);
        Assert.Equal(0x5c, ((MemoryBlockBackend)fixture.Disk.Backend).Data[511]);
    }

    [Fact]
    public void GetId_Buffer_HoldsSerial()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_GET_ID, 0, In(20)));
        Assert.True(fixture.Bytes(Data, 20).SequenceEqual("serial-0123456789\0\0\0"u8));
    }

    [Fact]
    public void Flush_WithWrites_ReachesDisk()
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_OUT, 0, Out(512)));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_FLUSH, 0));
        Assert.Equal(1, disk.Flushes);
        Assert.Equal(0, disk.FuaWrites);
    }

    [Fact]
    public void Write_WriteThrough_AsksForFua()
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk);
        fixture.Disk.WriteThrough = true;
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_OUT, 0, Out(512)));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_WRITE_ZEROES, 0, fixture.Range(0, 1)));
        Assert.Equal(2, disk.FuaWrites);
    }

    [Fact]
    public void WriteZeroes_WithUnmap_PassesFlagAndZeroes()
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk);
        disk.Data.Fill(1);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_WRITE_ZEROES, 0, fixture.Range(2, 4, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)));
        Assert.Equal(BlockRequestFlags.MayUnmap, disk.LastFlags);
        Assert.Equal(1, disk.Data[1023]);
        Assert.Equal(-1, disk.Data.Slice(1024, 2048).IndexOfAnyExcept((byte)0));
        Assert.Equal(1, disk.Data[3072]);
    }

    [Fact]
    public void Discard_Range_ReachesDisk()
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_DISCARD, 0, fixture.Range(0, 8)));
        Assert.Equal(1, disk.Discards);
    }

    [Theory]
    [InlineData(VIRTIO_BLK_T_DISCARD, 0UL, 8u, 1u, VIRTIO_BLK_S_UNSUPP)]
    [InlineData(VIRTIO_BLK_T_WRITE_ZEROES, 0UL, 8u, 2u, VIRTIO_BLK_S_UNSUPP)]
    [InlineData(VIRTIO_BLK_T_DISCARD, 2048UL, 1u, 0u, VIRTIO_BLK_S_IOERR)]
    [InlineData(VIRTIO_BLK_T_DISCARD, ulong.MaxValue, 1u, 0u, VIRTIO_BLK_S_IOERR)]
    [InlineData(VIRTIO_BLK_T_WRITE_ZEROES, 1UL, 2048u, 0u, VIRTIO_BLK_S_IOERR)]
    [InlineData(VIRTIO_BLK_T_WRITE_ZEROES, 0UL, uint.MaxValue, 0u, VIRTIO_BLK_S_IOERR)]
    public void Range_Hostile_IsRefused(uint type, ulong sector, uint count, uint flags, byte expected)
    {
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk);
        Assert.Equal(expected, fixture.Run(type, 0, fixture.Range(sector, count, flags)));
        Assert.Equal(0, disk.Discards + disk.WriteZeroes);
    }

    [Theory]
    [InlineData(2048UL, 512u)]
    [InlineData(2047UL, 1024u)]
    [InlineData(ulong.MaxValue, 512u)]
    [InlineData(1UL << 55, 512u)]
    [InlineData(0UL, 513u)]
    [InlineData(0UL, 1u)]
    public void Transfer_OutsideOrOddLength_IsIoErr(ulong sector, uint length)
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        Assert.Equal(VIRTIO_BLK_S_IOERR, fixture.Run(VIRTIO_BLK_T_IN, sector, In(length)));
        Assert.Equal(VIRTIO_BLK_S_IOERR, fixture.Run(VIRTIO_BLK_T_OUT, sector, Out(length)));
    }

    [Theory]
    [InlineData(2u)]
    [InlineData(14u)]
    [InlineData(0x80000000u)]
    public void UnknownType_IsUnsupported(uint type)
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        Assert.Equal(VIRTIO_BLK_S_UNSUPP, fixture.Run(type, 0, In(512)));
    }

    [Fact]
    public void ReadOnlyDisk_RefusesWhatWrites()
    {
        MemoryBlockBackend disk = new(DiskBytes) { Limits = new BlockLimits { ReadOnly = true } };
        using BlockFixture fixture = new(disk);
        Assert.Equal(VIRTIO_BLK_S_IOERR, fixture.Run(VIRTIO_BLK_T_OUT, 0, Out(512)));
        Assert.Equal(VIRTIO_BLK_S_UNSUPP, fixture.Run(VIRTIO_BLK_T_DISCARD, 0, fixture.Range(0, 1)));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_IN, 0, In(512)));
    }

    [Fact]
    public void Request_NoRoomForStatusOrNoHeader_IsUsedAndReported()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        Assert.True(fixture.Driver.TryAdd([new DriverBuffer(Data, 16, false)], 1));
        Assert.True(fixture.Driver.TryAdd([new DriverBuffer(Data, 15, false), new DriverBuffer(Data + 64, 1, true)], 2));
        fixture.Kickoff();
        Assert.Equal(1, fixture.Take(out uint written));
        Assert.Equal(0u, written);
        Assert.Equal(2, fixture.Take(out _));
        Assert.Equal(2, fixture.Malformed);
    }

    [Theory]
    [InlineData(BlockOperation.Read, VIRTIO_BLK_T_IN, -LibcConstants.EIO)]
    [InlineData(BlockOperation.Read, VIRTIO_BLK_T_IN, 100)]
    [InlineData(BlockOperation.Read, VIRTIO_BLK_T_IN, -LibcConstants.EINTR)]
    [InlineData(BlockOperation.Write, VIRTIO_BLK_T_OUT, -LibcConstants.ENOSPC)]
    [InlineData(BlockOperation.Write, VIRTIO_BLK_T_OUT, 0)]
    [InlineData(BlockOperation.Flush, VIRTIO_BLK_T_FLUSH, -LibcConstants.EIO)]
    public void Disk_Fails_GuestSeesIoErrAndGoesOn(BlockOperation operation, uint type, int result)
    {
        FaultyBlockBackend disk = new(new MemoryBlockBackend(DiskBytes));
        using BlockFixture fixture = new(disk);
        DriverBuffer[] data = operation == BlockOperation.Flush ? [] : [new DriverBuffer(Data, 512, operation == BlockOperation.Read)];
        disk.Fail(operation, result);
        Assert.Equal(VIRTIO_BLK_S_IOERR, fixture.Run(type, 0, data));
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(type, 0, data));
        Assert.Equal(1, disk.Injected);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Stop_RequestsInFlight_DrainsThemAndRestartGoesOn(ulong features)
    {
        FaultyBlockBackend disk = new(new MemoryBlockBackend(DiskBytes)) { Hold = true };
        using BlockFixture fixture = new(disk, features);
        for (int cookie = 1; cookie <= 4; cookie++)
            fixture.Add(cookie, VIRTIO_BLK_T_IN, (ulong)cookie, In(512, (ulong)cookie * 512));
        fixture.Kickoff();
        Assert.True(SpinWait.SpinUntil(() => fixture.InFlight == 4, 20000));
        VirtQueueState state = default;
        Thread stop = new(() => state = fixture.Stop());
        stop.Start();
        Assert.False(stop.Join(50));
        disk.Hold = false;
        Assert.True(stop.Join(20000));
        for (int i = 0; i < 4; i++)
            Assert.Equal(VIRTIO_BLK_S_OK, fixture.Status(fixture.Take(out _)));
        Assert.Equal(state.AvailCursor, state.UsedCursor);
        fixture.Start(state);
        Assert.Equal(VIRTIO_BLK_S_OK, fixture.Run(VIRTIO_BLK_T_OUT, 0, Out(512)));
    }

    [Fact]
    public void Start_RequestsWereInTheRingBefore_AreServedWithoutKick()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        VirtQueueState state = fixture.Stop();
        fixture.Add(1, VIRTIO_BLK_T_IN, 0, In(512));
        fixture.Driver.Publish();
        fixture.Start(state);
        Assert.Equal(1, fixture.Take(out _));
    }

    [Fact]
    public void Batch_ManyRequestsOneKick_CompletesAllWithFewInterrupts()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes), size: 128);
        VirtQueueState state = fixture.Stop();
        for (int cookie = 0; cookie < 40; cookie++)
            fixture.Add(cookie, VIRTIO_BLK_T_IN, (ulong)cookie, In(512, (ulong)cookie * 512));
        fixture.Driver.Publish();
        fixture.Start(state);
        for (int i = 0; i < 40; i++)
            Assert.Equal(VIRTIO_BLK_S_OK, fixture.Status(fixture.Take(out _)));
        Assert.InRange(fixture.Signals, 1, 3);
    }

    /// <summary>However full the ring is: whoever waited before comes after one turn, and the rest after that.</summary>
    [Fact]
    public void Turn_RingIsFuller_EndsAtTheBudget()
    {
        const int Budget = 256, Requests = 512;
        MemoryBlockBackend disk = new(DiskBytes);
        using BlockFixture fixture = new(disk, size: 2 * Requests);
        VirtQueueState state = fixture.Stop();
        for (int cookie = 0; cookie < Requests; cookie++)
            fixture.Add(cookie, VIRTIO_BLK_T_FLUSH, 0);
        fixture.Driver.Publish();
        int afterOneTurn = 0;
        CallSink other = new(() => afterOneTurn = disk.Flushes);
        fixture.Loop.Invoke(new CallSink(() =>
        {
            fixture.Loop.Post(other, 0);
            fixture.Start(state);
        }), 0);
        for (int i = 0; i < Requests; i++)
            fixture.Take(out _);

        Assert.InRange(afterOneTurn, 1, Budget);
        Assert.Equal(Requests, disk.Flushes);
    }

    [Fact]
    public void Ring_Broken_IsReportedOnceAndNothingElseHappens()
    {
        using BlockFixture fixture = new(new MemoryBlockBackend(DiskBytes));
        // The avail index jumps further than the ring is long.
        Assert.True(fixture.Memory.TryWrite(new Core.Memory.GuestAddress(fixture.Driver.DriverArea + 2), (ushort)1000));
        fixture.Kick.Signal();
        Assert.True(SpinWait.SpinUntil(() => !fixture.Faults.IsEmpty, 20000));
        fixture.Kick.Signal();
        fixture.Loop.Invoke(new NothingSink(), 0);
        Assert.Single(fixture.Faults);
        Assert.Null(fixture.Failure);
    }

    private sealed class CallSink(Action call) : Core.Events.IEventSink
    {
        public void OnReady(uint cookie, uint epollEvents) => call();
    }

    private sealed class NothingSink : Core.Events.IEventSink
    {
        public void OnReady(uint cookie, uint epollEvents)
        {
        }
    }
}
