using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;

namespace KvmSharp.Backends.Tests.Block;

/// <summary>What every engine does, for each cache mode.</summary>
public sealed class BlockEngineTests : IDisposable
{
    private const int Size = 4 << 20;

    private readonly TempImage _image = new(Size);
    private readonly NativeBuffer _buffer = new(2 << 20);

    public static TheoryData<BlockEngine, BlockCacheMode> Modes
    {
        get
        {
            TheoryData<BlockEngine, BlockCacheMode> data = [];
            foreach (BlockEngine engine in new[] { BlockEngine.IoUring, BlockEngine.Threads, BlockEngine.Inline })
            {
                foreach (BlockCacheMode mode in Enum.GetValues<BlockCacheMode>())
                    data.Add(engine, mode);
            }

            return data;
        }
    }

    public static TheoryData<BlockEngine> Engines => [BlockEngine.IoUring, BlockEngine.Threads, BlockEngine.Inline];

    public void Dispose()
    {
        _buffer.Dispose();
        _image.Dispose();
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void ReadAfterWrite_SeveralSegments_ReturnsSameBytes(BlockEngine engine, BlockCacheMode mode)
    {
        using RawImage disk = Open(engine, mode);
        using BlockHarness harness = new(disk);
        new Random(1).NextBytes(_buffer.Span[..65536]);
        Assert.Equal(65536, harness.Write(8192, _buffer.Slice(0, 512), _buffer.Slice(512, 4096 - 512), _buffer.Slice(4096, 61440)));
        Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
        Assert.Equal(65536, harness.Read(8192, _buffer.Slice(131072, 32768), _buffer.Slice(131072 + 32768, 32768)));
        Assert.True(_buffer.Span[..65536].SequenceEqual(_buffer.Span.Slice(131072, 65536)));
        Assert.True(_image.Bytes.AsSpan(8192, 65536).SequenceEqual(_buffer.Span[..65536]));
        Assert.Equal(0, _image.Bytes[8191]);
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void ReadAfterWrite_UnalignedMemory_ReturnsSameBytes(BlockEngine engine, BlockCacheMode mode)
    {
        using RawImage disk = Open(engine, mode);
        using BlockHarness harness = new(disk);
        new Random(2).NextBytes(_buffer.Span[..700000]);
        // More than one bounce buffer, in pieces that are not whole sectors.
        Assert.Equal(614400, harness.Write(4096, _buffer.Slice(3, 614000), _buffer.Slice(614003, 400)));
        Assert.Equal(614400, harness.Read(4096, _buffer.Slice(1000001, 100), _buffer.Slice(1000101, 614300)));
        Assert.True(_buffer.Span.Slice(3, 614400).SequenceEqual(_buffer.Span.Slice(1000001, 614400)));
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Write_OneSectorAtOddSector_ChangesOnlyThatSector(BlockEngine engine, BlockCacheMode mode)
    {
        using RawImage disk = Open(engine, mode);
        using BlockHarness harness = new(disk);
        _buffer.Span[..2048].Fill(0x11);
        _buffer.Span.Slice(4096, 512).Fill(0x22);
        Assert.Equal(2048, harness.Write(0, _buffer.Slice(0, 2048)));
        Assert.Equal(512, harness.Write(512, _buffer.Slice(4096, 512)));
        Assert.Equal(2048, harness.Read(0, _buffer.Slice(8192, 2048)));
        Assert.Equal(0x11, _buffer.Span[8192 + 511]);
        Assert.Equal(0x22, _buffer.Span[8192 + 512]);
        Assert.Equal(0x22, _buffer.Span[8192 + 1023]);
        Assert.Equal(0x11, _buffer.Span[8192 + 1024]);
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Write_Fua_Succeeds(BlockEngine engine, BlockCacheMode mode)
    {
        using RawImage disk = Open(engine, mode);
        using BlockHarness harness = new(disk);
        Assert.Equal(4096, harness.Run(BlockOperation.Write, 0, 4096, BlockRequestFlags.Fua, _buffer.Slice(0, 4096)));
        Assert.Equal(0, harness.Run(BlockOperation.WriteZeroes, 0, 4096, BlockRequestFlags.Fua | BlockRequestFlags.MayUnmap));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Write_MoreSegmentsThanOneSystemCallTakes_WritesAll(BlockEngine engine)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk);
        new Random(3).NextBytes(_buffer.Span[..(2500 * 512)]);
        IoVec[] segments = [.. Enumerable.Range(0, 2500).Select(i => _buffer.Slice(i * 512, 512))];
        Assert.Equal(2500 * 512, harness.Write(0, segments));
        Assert.True(_image.Bytes.AsSpan(0, 2500 * 512).SequenceEqual(_buffer.Span[..(2500 * 512)]));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Discard_WrittenRange_DeallocatesAndReadsZero(BlockEngine engine)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk);
        _buffer.Span[..(1 << 20)].Fill(0x5a);
        Assert.Equal(1 << 20, harness.Write(0, _buffer.Slice(0, 1 << 20)));
        Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
        Assert.Equal(0, harness.Run(BlockOperation.Discard, 4096, 65536));
        Assert.Equal(65536, harness.Read(4096, _buffer.Slice(0, 65536)));
        Assert.Equal(-1, _buffer.Span[..65536].IndexOfAnyExcept((byte)0));
        Assert.Equal(0x5a, _image.Bytes[4095]);
        Assert.Equal(0x5a, _image.Bytes[4096 + 65536]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Discard_TurnedOff_LeavesDataAlone(BlockEngine engine)
    {
        using RawImage disk = RawImage.Open(new RawImageOptions { Path = _image.Path, Engine = engine, Discard = false });
        using BlockHarness harness = new(disk);
        _buffer.Span[..4096].Fill(0x5a);
        harness.Write(0, _buffer.Slice(0, 4096));
        Assert.Equal(0, harness.Run(BlockOperation.Discard, 0, 4096));
        Assert.Equal(0x5a, _image.Bytes[0]);
        Assert.False(disk.Limits.SupportsDiscard);
    }

    [Theory]
    [InlineData(BlockEngine.IoUring, BlockRequestFlags.None)]
    [InlineData(BlockEngine.IoUring, BlockRequestFlags.MayUnmap)]
    [InlineData(BlockEngine.Threads, BlockRequestFlags.None)]
    [InlineData(BlockEngine.Threads, BlockRequestFlags.MayUnmap)]
    public void WriteZeroes_OddRange_ZeroesExactlyIt(BlockEngine engine, BlockRequestFlags flags)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk);
        _buffer.Span[..65536].Fill(0x77);
        harness.Write(0, _buffer.Slice(0, 65536));
        Assert.Equal(0, harness.Run(BlockOperation.WriteZeroes, 1536, 40960, flags));
        byte[] bytes = _image.Bytes;
        Assert.Equal(0x77, bytes[1535]);
        Assert.Equal(-1, bytes.AsSpan(1536, 40960).IndexOfAnyExcept((byte)0));
        Assert.Equal(0x77, bytes[1536 + 40960]);
    }

    [Theory]
    [InlineData(BlockEngine.IoUring, 513UL, 512UL)]
    [InlineData(BlockEngine.IoUring, 0UL, 100UL)]
    [InlineData(BlockEngine.IoUring, (ulong)Size, 512UL)]
    [InlineData(BlockEngine.IoUring, (ulong)Size - 512, 1024UL)]
    [InlineData(BlockEngine.IoUring, ulong.MaxValue - 511, 512UL)]
    [InlineData(BlockEngine.Threads, (ulong)Size - 512, 1024UL)]
    [InlineData(BlockEngine.Threads, 512UL, ulong.MaxValue - 511)]
    public void Request_OutsideOrUnaligned_FailsWithEinval(BlockEngine engine, ulong offset, ulong length)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk);
        Assert.Equal(-LibcConstants.EINVAL, harness.Run(BlockOperation.WriteZeroes, offset, length));
        Assert.Equal(-LibcConstants.EINVAL, harness.Run(BlockOperation.Read, offset, length, BlockRequestFlags.None, _buffer.Slice(0, 512)));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Write_ReadOnlyImage_FailsWithErofs(BlockEngine engine)
    {
        using RawImage disk = RawImage.Open(new RawImageOptions { Path = _image.Path, Engine = engine, ReadOnly = true });
        using BlockHarness harness = new(disk);
        Assert.Equal(-LibcConstants.EROFS, harness.Write(0, _buffer.Slice(0, 512)));
        Assert.Equal(-LibcConstants.EROFS, harness.Run(BlockOperation.Discard, 0, 512));
        Assert.Equal(512, harness.Read(0, _buffer.Slice(0, 512)));
        Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Read_ImageShrankUnderUs_FailsWithEio(BlockEngine engine, BlockCacheMode mode)
    {
        using RawImage disk = Open(engine, mode);
        using BlockHarness harness = new(disk);
        _image.Resize(8192);
        Assert.Equal(-LibcConstants.EIO, harness.Read(4096, _buffer.Slice(0, 8192)));
        Assert.Equal(4096, harness.Read(4096, _buffer.Slice(0, 4096)));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Request_ZeroLength_CompletesWithoutTheHost(BlockEngine engine)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk);
        Assert.Equal(0, harness.Read(0));
        Assert.Equal(0, harness.Write(512));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void TryEnqueue_BeyondDepth_RefusesUntilReaped(BlockEngine engine)
    {
        using RawImage disk = Open(engine);
        using BlockHarness harness = new(disk, depth: 2);
        Assert.NotEqual(0u, harness.Enqueue(BlockOperation.Read, 0, 512, BlockRequestFlags.None, _buffer.Slice(0, 512)));
        Assert.NotEqual(0u, harness.Enqueue(BlockOperation.Read, 512, 512, BlockRequestFlags.None, _buffer.Slice(512, 512)));
        Assert.Equal(0u, harness.Enqueue(BlockOperation.Read, 0, 512, BlockRequestFlags.None, _buffer.Slice(0, 512)));
        Assert.Equal(2, harness.Io.InFlight);
        harness.Io.Drain();
        Assert.Equal(0, harness.Io.InFlight);
        Assert.Equal(512, harness.Read(0, _buffer.Slice(0, 512)));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public unsafe void Completion_AfterSubmitAndReapLoop_SignalsEvent(BlockEngine engine)
    {
        using RawImage disk = Open(engine, BlockCacheMode.None);
        using BlockHarness harness = new(disk);
        for (int i = 0; i < 50; i++)
        {
            uint tag = harness.Enqueue(BlockOperation.Read, (ulong)i * 4096, 4096, BlockRequestFlags.None, _buffer.Slice(0, 4096));
            harness.Io.Submit();
            harness.Io.Reap();
            while (!harness.Results.ContainsKey(tag))
            {
                pollfd item = new() { fd = harness.Io.Completion.Value, events = LibcConstants.POLLIN };
                Assert.Equal(1, Libc.poll(&item, 1, 20000));
                harness.Io.Completion.Drain();
                harness.Io.Reap();
            }
        }

        Assert.Equal(50, harness.Results.Count);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void CompletionEvents_OffWhilePolling_CompletionsAreStillFound(BlockEngine engine)
    {
        using RawImage disk = Open(engine, BlockCacheMode.None);
        using BlockHarness harness = new(disk);
        harness.Io.SetCompletionEvents(false);
        harness.Enqueue(BlockOperation.Read, 0, 4096, BlockRequestFlags.None, _buffer.Slice(0, 4096));
        harness.Io.Submit();
        Assert.True(SpinWait.SpinUntil(() => harness.Io.HasCompletions, 20000));
        harness.Io.Reap();
        Assert.Single(harness.Results);
        Assert.False(harness.Io.Completion.Drain());
    }

    /// <summary>The kernel may raise the ring's flag with nothing behind it.</summary>
    [Fact]
    public void Reap_RingFlagRaisedInVain_Returns()
    {
        using RawImage disk = Open(BlockEngine.IoUring, BlockCacheMode.None);
        using BlockHarness harness = new(disk);
        Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
        ((IoUringBlockIo)harness.Io).Ring.RaiseTaskRun();
        Assert.Equal(0, harness.Io.Reap());
        Assert.Equal(0, harness.Run(BlockOperation.Flush, 0, 0));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public unsafe void Steady_ThousandsOfRequests_AllocatesNothing(BlockEngine engine)
    {
        using RawImage disk = Open(engine);
        CountingSink sink = new();
        using IBlockIo io = disk.OpenIo(16, sink);
        IoVec segment = _buffer.Slice(0, 4096);
        RunBatches(io, &segment, 50);
        long before = GC.GetAllocatedBytesForCurrentThread();
        RunBatches(io, &segment, 500);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(550 * 16, sink.Count);
        Assert.Equal(0, sink.Errors);
    }

    private static unsafe void RunBatches(IBlockIo io, IoVec* segment, int batches)
    {
        for (int batch = 0; batch < batches; batch++)
        {
            for (uint tag = 0; tag < 16; tag++)
            {
                io.TryEnqueue(new BlockRequest
                {
                    Operation = tag % 2 == 0 ? BlockOperation.Read : BlockOperation.Write, Tag = tag, OffsetBytes = tag * 4096, LengthBytes = 4096,
                    Segments = segment, SegmentCount = 1,
                });
            }

            io.Submit();
            io.Drain();
        }
    }

    private RawImage Open(BlockEngine engine, BlockCacheMode mode = BlockCacheMode.Writeback) =>
        RawImage.Open(new RawImageOptions { Path = _image.Path, Engine = engine, Cache = mode });

    private sealed class CountingSink : IBlockCompletion
    {
        public int Count { get; private set; }

        public int Errors { get; private set; }

        public void OnCompleted(uint tag, int result)
        {
            Count++;
            if (result != 4096)
                Errors++;
        }
    }
}
