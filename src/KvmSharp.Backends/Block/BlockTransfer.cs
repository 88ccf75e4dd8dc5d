using System.Diagnostics;
using KvmSharp.Abi;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Block;

/// <summary>
/// The progress of one request through the host: which bytes come next, and what a result means. Short transfers and EINTR go on where
/// they stopped. Lives in native memory, one per slot, so that the kernel may point into it.
/// </summary>
internal unsafe struct BlockTransfer
{
    /// <summary>Most bytes that go through a bounce buffer at once.</summary>
    public const int BounceBytes = 256 * 1024;

    /// <summary>UIO_MAXIOV: most segments that one system call takes.</summary>
    private const int MaxVectors = 1024;

    /// <summary>EINTR and EAGAIN in a row without a byte of progress.</summary>
    private const int MaxStalls = 64;

    public BlockRequest Request;

    /// <summary>When set, data goes through <see cref="Bounce"/> instead of the segments directly.</summary>
    public bool UsesBounce;

    /// <summary>RWF_DSYNC is not there: a write ends with a sync of its own.</summary>
    public bool SyncAfterwards;

    /// <summary>The next step is fdatasync, not a transfer.</summary>
    public bool Syncing;

    /// <summary>What a worker thread made of it.</summary>
    public int Result;

    /// <summary>Belongs to the slot, not to the request; null until first needed.</summary>
    public byte* Bounce;

    private ulong _done;
    private nuint _segmentDone;
    private int _segment;
    private int _stalls;
    private IoVec _piece;

    public readonly ulong Offset => Request.OffsetBytes + _done;

    private readonly ulong Remaining => Request.LengthBytes - _done;

    public void Begin(in BlockRequest request)
    {
        Request = request;
        UsesBounce = false;
        SyncAfterwards = false;
        Syncing = request.Operation == BlockOperation.Flush;
        Result = 0;
        _done = 0;
        _segmentDone = 0;
        _segment = 0;
        _stalls = 0;
    }

    /// <summary>The memory of the next transfer: <paramref name="count"/> vectors that stay valid until <see cref="Advance"/>.</summary>
    public IoVec* NextVectors(out int count)
    {
        Debug.Assert(!Syncing && Remaining > 0);
        count = 1;
        if (UsesBounce)
        {
            nuint length = (nuint)Math.Min(Remaining, BounceBytes);
            _piece = new IoVec(Bounce, length);
            if (Request.Operation == BlockOperation.Write)
                CopyBounce(length, toSegments: false);
            return PiecePointer();
        }

        SkipEmptySegments();
        ref readonly IoVec current = ref Request.Segments[_segment];
        if (_segmentDone != 0)
        {
            _piece = new IoVec(current.Base + _segmentDone, current.Length - _segmentDone);
            return PiecePointer();
        }

        count = Math.Min(Request.SegmentCount - _segment, MaxVectors);
        return Request.Segments + _segment;
    }

    /// <summary>Takes the result of a step (bytes, 0, or -errno). True: finished, with <paramref name="final"/>; false: another step follows.</summary>
    public bool Advance(int result, out int final)
    {
        final = result;
        if (result is -LibcConstants.EINTR or -LibcConstants.EAGAIN)
            return ++_stalls > MaxStalls;
        if (result < 0)
            return !TrySyncAfterwards(result);
        if (Syncing)
        {
            final = (int)_done;
            return true;
        }

        if (result == 0)
        {
            // The end of a file that shrank under us, or a host that takes nothing more.
            final = Request.Operation == BlockOperation.Read ? -LibcConstants.EIO : -LibcConstants.ENOSPC;
            return true;
        }

        _stalls = 0;
        Take(Math.Min((ulong)result, Remaining));
        if (Remaining > 0)
            return false;
        final = (int)_done;
        Syncing = SyncAfterwards;
        return !Syncing;
    }

    /// <summary>A write that asked for RWF_DSYNC where there is none goes on without it and syncs at the end.</summary>
    private bool TrySyncAfterwards(int result)
    {
        if (result != -LibcConstants.EOPNOTSUPP || Request.Operation != BlockOperation.Write || SyncAfterwards
            || (Request.Flags & BlockRequestFlags.Fua) == 0)
            return false;
        SyncAfterwards = true;
        return true;
    }

    private void Take(ulong bytes)
    {
        if (UsesBounce && Request.Operation == BlockOperation.Read)
            CopyBounce(bytes, toSegments: true);
        AdvanceCursor(bytes);
        _done += bytes;
    }

    private void AdvanceCursor(ulong bytes)
    {
        while (bytes > 0)
        {
            SkipEmptySegments();
            ulong left = Request.Segments[_segment].Length - _segmentDone;
            ulong step = Math.Min(left, bytes);
            _segmentDone += (nuint)step;
            bytes -= step;
        }

        if (_segment < Request.SegmentCount && _segmentDone == Request.Segments[_segment].Length)
        {
            _segment++;
            _segmentDone = 0;
        }
    }

    private void SkipEmptySegments()
    {
        while (_segmentDone == Request.Segments[_segment].Length)
        {
            _segment++;
            _segmentDone = 0;
        }
    }

    /// <summary>Copies between the bounce buffer and the segments from the cursor on, which stays where it is.</summary>
    private readonly void CopyBounce(ulong bytes, bool toSegments)
    {
        int segment = _segment;
        nuint inSegment = _segmentDone;
        for (ulong copied = 0; copied < bytes;)
        {
            ref readonly IoVec current = ref Request.Segments[segment];
            ulong step = Math.Min(current.Length - inSegment, bytes - copied);
            // SAFETY: step stays inside the segment, and copied + step <= bytes <= BounceBytes.
            if (toSegments)
                Buffer.MemoryCopy(Bounce + copied, current.Base + inSegment, step, step);
            else
                Buffer.MemoryCopy(current.Base + inSegment, Bounce + copied, step, step);
            copied += step;
            segment++;
            inSegment = 0;
        }
    }

    private IoVec* PiecePointer()
    {
        // SAFETY: every BlockTransfer lives in native memory (BlockSlots), so the address is stable.
        fixed (IoVec* piece = &_piece)
            return piece;
    }
}
