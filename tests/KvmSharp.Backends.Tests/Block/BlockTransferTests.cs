using KvmSharp.Abi;
using KvmSharp.Backends.Block;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;

namespace KvmSharp.Backends.Tests.Block;

/// <summary>Results that a healthy host seldom gives: the state machine is fed with them directly.</summary>
public sealed unsafe class BlockTransferTests : IDisposable
{
    private readonly BlockSlots _slots = new(1, 512, default);
    private readonly NativeBuffer _buffer = new(65536);
    private readonly IoVec* _segments;

    public BlockTransferTests() => _segments = (IoVec*)(_buffer.Pointer + 32768);

    private BlockTransfer* Transfer => _slots[0];

    public void Dispose()
    {
        _slots.Dispose();
        _buffer.Dispose();
    }

    [Fact]
    public void Advance_ShortRead_ContinuesInsideSegment()
    {
        Begin(BlockOperation.Read, 512, 1024);
        Transfer->NextVectors(out int count);
        Assert.Equal(2, count);
        Assert.False(Transfer->Advance(700, out _));
        IoVec* next = Transfer->NextVectors(out count);
        Assert.Equal(1, count);
        Assert.True(next->Base == _segments[1].Base + 188);
        Assert.Equal((nuint)(1024 - 188), next->Length);
        Assert.Equal(4096UL + 700, Transfer->Offset);
        Assert.True(Transfer->Advance(1024 - 188, out int final));
        Assert.Equal(1536, final);
    }

    [Fact]
    public void Advance_ShortAtSegmentBoundary_ContinuesWithNextSegments()
    {
        Begin(BlockOperation.Write, 512, 0, 1024, 512);
        Assert.False(Transfer->Advance(512, out _));
        IoVec* next = Transfer->NextVectors(out int count);
        Assert.Equal(2, count);
        Assert.True(next == _segments + 2);
        Assert.True(Transfer->Advance(1536, out int final));
        Assert.Equal(2048, final);
    }

    [Fact]
    public void Advance_Eintr_RepeatsTheStep()
    {
        Begin(BlockOperation.Read, 512);
        Assert.False(Transfer->Advance(-LibcConstants.EINTR, out _));
        Assert.False(Transfer->Advance(-LibcConstants.EAGAIN, out _));
        Assert.True(Transfer->Advance(512, out int final));
        Assert.Equal(512, final);
    }

    [Fact]
    public void Advance_EintrForever_GivesUpWithIt()
    {
        Begin(BlockOperation.Read, 512);
        int steps = 0;
        int final;
        while (!Transfer->Advance(-LibcConstants.EINTR, out final))
            steps++;
        Assert.Equal(-LibcConstants.EINTR, final);
        Assert.InRange(steps, 10, 1000);
    }

    [Theory]
    [InlineData(LibcConstants.EIO)]
    [InlineData(LibcConstants.ENOSPC)]
    public void Advance_ErrorAfterPart_IsTheResult(int errno)
    {
        Begin(BlockOperation.Write, 512, 512);
        Assert.False(Transfer->Advance(512, out _));
        Assert.True(Transfer->Advance(-errno, out int final));
        Assert.Equal(-errno, final);
    }

    [Fact]
    public void Advance_NothingTransferred_IsEioForReadAndEnospcForWrite()
    {
        Begin(BlockOperation.Read, 512);
        Assert.True(Transfer->Advance(0, out int read));
        Begin(BlockOperation.Write, 512);
        Assert.True(Transfer->Advance(0, out int written));
        Assert.Equal(-LibcConstants.EIO, read);
        Assert.Equal(-LibcConstants.ENOSPC, written);
    }

    [Fact]
    public void Advance_NoDsyncOnHost_WritesPlainThenSyncs()
    {
        Begin(BlockOperation.Write, BlockRequestFlags.Fua, 512);
        Assert.False(Transfer->Advance(-LibcConstants.EOPNOTSUPP, out _));
        Assert.True(Transfer->SyncAfterwards);
        Assert.False(Transfer->Advance(512, out _));
        Assert.True(Transfer->Syncing);
        Assert.True(Transfer->Advance(0, out int final));
        Assert.Equal(512, final);
    }

    [Fact]
    public void NextVectors_Bounce_CopiesWritesInAndReadsOut()
    {
        _buffer.Span[..1024].Fill(0x42);
        Begin(BlockOperation.Write, 100, 924);
        Assert.True(_slots.TryUseBounce(0));
        IoVec* piece = Transfer->NextVectors(out int count);
        Assert.Equal(1, count);
        Assert.Equal((nuint)1024, piece->Length);
        Assert.Equal(-1, piece->Span.IndexOfAnyExcept((byte)0x42));
        Assert.True(Transfer->Advance(1024, out _));

        Begin(BlockOperation.Read, 100, 924);
        Assert.True(_slots.TryUseBounce(0));
        Transfer->NextVectors(out _)->Span.Fill(0x43);
        Assert.False(Transfer->Advance(512, out _));
        Assert.Equal(0x43, _buffer.Span[511]);
        Assert.Equal(0x42, _buffer.Span[512]);
        Transfer->NextVectors(out _)->Span.Fill(0x44);
        Assert.True(Transfer->Advance(512, out int final));
        Assert.Equal(1024, final);
        Assert.Equal(0x44, _buffer.Span[1023]);
        Assert.Equal(0, _buffer.Span[1024]);
    }

    private void Begin(BlockOperation operation, params int[] lengths) => Begin(operation, BlockRequestFlags.None, lengths);

    private void Begin(BlockOperation operation, BlockRequestFlags flags, params int[] lengths)
    {
        int offset = 0;
        for (int i = 0; i < lengths.Length; i++)
        {
            _segments[i] = new IoVec(_buffer.Pointer + offset, (nuint)lengths[i]);
            offset += lengths[i];
        }

        Transfer->Begin(new BlockRequest
        {
            Operation = operation, Flags = flags, OffsetBytes = 4096, LengthBytes = (ulong)offset, Segments = _segments, SegmentCount = lengths.Length,
        });
    }
}
