using System.Runtime.InteropServices;
using KvmSharp.Core.Tracing;

namespace KvmSharp.Backends.Block;

/// <summary>
/// The requests in flight of one engine: preallocated transfers, the free ones among them, and those that are finished without the
/// host. One thread.
/// </summary>
internal sealed unsafe class BlockSlots : IDisposable
{
    // By BlockOperation.
    private static readonly TraceName[] s_operations = [TraceName.Of("read"), TraceName.Of("write"), TraceName.Of("flush"), TraceName.Of("discard"), TraceName.Of("write-zeroes")];

    private readonly BlockTransfer* _transfers;
    private readonly int[] _free;
    private readonly int[] _finished;
    private readonly nuint _bounceAlignment;
    private readonly TraceName _image;
    private int _freeCount;
    private int _finishedCount;

    /// <param name="image">Whose requests they are, in a trace.</param>
    public BlockSlots(int depth, uint bounceAlignment, TraceName image)
    {
        _image = image;
        Depth = depth;
        _bounceAlignment = Math.Max(bounceAlignment, 512);
        _transfers = (BlockTransfer*)NativeMemory.AllocZeroed((nuint)depth, (nuint)sizeof(BlockTransfer));
        _free = new int[depth];
        _finished = new int[depth];
        for (int i = 0; i < depth; i++)
            _free[i] = depth - 1 - i;
        _freeCount = depth;
    }

    public int Depth { get; }

    public int InFlight => Depth - _freeCount;

    public bool HasFinished => _finishedCount > 0;

    public BlockTransfer* this[int slot] => _transfers + slot;

    /// <summary>A slot that holds a copy of the request, or -1.</summary>
    public int TryTake(in BlockRequest request)
    {
        if (_freeCount == 0)
            return -1;
        int slot = _free[--_freeCount];
        BlockTransfer* transfer = _transfers + slot;
        transfer->Begin(request);
        if (Tracer.IsOn)
            Tracer.Submit((nuint)transfer, s_operations[(int)request.Operation], _image, request.OffsetBytes, request.LengthBytes);
        return slot;
    }

    /// <summary>Frees a slot, whose request came to this result; returns its tag.</summary>
    public uint Release(int slot, int result)
    {
        BlockTransfer* transfer = _transfers + slot;
        if (Tracer.IsOn)
            Tracer.Complete((nuint)transfer, s_operations[(int)transfer->Request.Operation], _image, result);
        _free[_freeCount++] = slot;
        return transfer->Request.Tag;
    }

    /// <summary>Finished without the host; reported by the next reap.</summary>
    public void Finish(int slot, int result)
    {
        _transfers[slot].Result = result;
        _finished[_finishedCount++] = slot;
    }

    public bool TryTakeFinished(out int slot)
    {
        slot = _finishedCount > 0 ? _finished[--_finishedCount] : -1;
        return slot >= 0;
    }

    /// <summary>Sends the slot's data through its bounce buffer, which is made now if it was never needed before. False: the host has no memory for it.</summary>
    public bool TryUseBounce(int slot)
    {
        BlockTransfer* transfer = _transfers + slot;
        try
        {
            if (transfer->Bounce == null)
                transfer->Bounce = (byte*)NativeMemory.AlignedAlloc(BlockTransfer.BounceBytes, _bounceAlignment);
        }
        catch (OutOfMemoryException)
        {
            return false;
        }

        transfer->UsesBounce = true;
        return true;
    }

    public void Dispose()
    {
        for (int i = 0; i < Depth; i++)
            NativeMemory.AlignedFree(_transfers[i].Bounce);
        NativeMemory.Free(_transfers);
    }
}
