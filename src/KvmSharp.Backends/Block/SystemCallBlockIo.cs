using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>
/// The engine over preadv2 and pwritev2. Threads of its own call them, behind a lock that submission and completion share; for an image in
/// memory the owner's thread does, when the request is enqueued: the host copies at once, and handing over costs more than the copy.
/// </summary>
internal sealed unsafe class SystemCallBlockIo : IBlockIo
{
    /// <summary>Longest transfer that the owner's thread does itself: about 0.1 ms of copying.</summary>
    private const ulong InlineLimit = 1 << 20;

    private readonly RawFile _file;
    private readonly IBlockCompletion _sink;
    private readonly BlockSlots _slots;
    private readonly BlockWorkers _workers;
    private readonly bool _inline;
    private bool _disposed;

    /// <param name="inline">The image lies in memory: only what takes long goes to threads.</param>
    public SystemCallBlockIo(RawFile file, int depth, IBlockCompletion sink, int maxThreads, bool inline)
    {
        _file = file;
        _sink = sink;
        _inline = inline;
        _slots = new BlockSlots(depth, file.Traits.MemoryAlignment, file.TraceName);
        _workers = new BlockWorkers(file, _slots, Completion, maxThreads);
    }

    public EventFd Completion { get; } = new();

    public int InFlight => _slots.InFlight;

    public bool HasCompletions => _slots.HasFinished || _workers.HasDone;

    public bool CompletesAtOnce => _inline;

    public void SetCompletionEvents(bool enabled) => _workers.SetEventsEnabled(enabled);

    public bool TryEnqueue(in BlockRequest request)
    {
        int slot = _slots.TryTake(request);
        if (slot < 0)
            return false;
        if (BlockAdmission.TryFinish(_file, _slots, slot))
            return true;
        if (_file.IsAddressable(request) && _file.NeedsBounce(request) && !_slots.TryUseBounce(slot))
            _slots.Finish(slot, -LibcConstants.ENOMEM);
        else if (_inline && request.Operation is not (BlockOperation.Discard or BlockOperation.WriteZeroes) && request.LengthBytes <= InlineLimit)
            _slots.Finish(slot, _file.RunTransfer(_slots[slot]));
        else
            _workers.Enqueue(slot);
        return true;
    }

    public void Submit()
    {
        // What is not finished is with the workers since it was enqueued.
    }

    public int Reap()
    {
        int count = 0;
        while (_slots.TryTakeFinished(out int slot) || _workers.TryTakeDone(out slot))
        {
            int result = _slots[slot]->Result;
            _sink.OnCompleted(_slots.Release(slot, result), result);
            count++;
        }

        return count;
    }

    public void Drain()
    {
        while (InFlight > 0)
        {
            if (Reap() == 0)
                _workers.WaitDone();
        }
    }

    /// <summary>Waits for what is in flight; it is not reported.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _workers.Dispose();
        _slots.Dispose();
        Completion.Dispose();
    }
}
