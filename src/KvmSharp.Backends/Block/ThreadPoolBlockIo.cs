using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>
/// The engine for hosts without io_uring: threads of its own and preadv2/pwritev2. Submission and completion take a lock that the
/// workers share.
/// </summary>
internal sealed unsafe class ThreadPoolBlockIo : IBlockIo
{
    private readonly RawFile _file;
    private readonly IBlockCompletion _sink;
    private readonly BlockSlots _slots;
    private readonly BlockWorkers _workers;
    private bool _disposed;

    public ThreadPoolBlockIo(RawFile file, int depth, IBlockCompletion sink, int maxThreads)
    {
        _file = file;
        _sink = sink;
        _slots = new BlockSlots(depth, file.Traits.MemoryAlignment);
        _workers = new BlockWorkers(file, _slots, Completion, maxThreads);
    }

    public EventFd Completion { get; } = new();

    public int InFlight => _slots.InFlight;

    public bool HasCompletions => _slots.HasFinished || _workers.HasDone;

    public void SetCompletionEvents(bool enabled) => _workers.SetEventsEnabled(enabled);

    public bool TryEnqueue(in BlockRequest request)
    {
        int slot = _slots.TryTake(request);
        if (slot < 0)
            return false;
        if (BlockAdmission.TryFinish(_file, _slots, slot))
            return true;
        if (_file.IsAddressable(request) && _file.NeedsBounce(request))
            _slots.UseBounce(slot);
        _workers.Enqueue(slot);
        return true;
    }

    public void Submit()
    {
        // Workers start at once; what needed no worker must not wait for one.
        if (_slots.HasFinished)
            Completion.Signal();
    }

    public int Reap()
    {
        int count = 0;
        while (_slots.TryTakeFinished(out int slot) || _workers.TryTakeDone(out slot))
        {
            int result = _slots[slot]->Result;
            _sink.OnCompleted(_slots.Release(slot), result);
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
