using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Backends.Block;

/// <summary>
/// Named threads that run slots through blocking system calls: the whole of <see cref="SystemCallBlockIo"/> where it does not copy itself, and what io_uring has
/// no operation for. Threads are made when there is work for them. One owner thread submits and takes back.
/// </summary>
internal sealed unsafe class BlockWorkers : IDisposable
{
    private readonly RawFile _file;
    private readonly BlockSlots _slots;
    private readonly EventFd _completion;
    private readonly object _gate = new();
    private readonly int[] _queue;
    private readonly int[] _done;
    private readonly Thread?[] _threads;
    private int _queueHead;
    private int _queueCount;
    private int _doneCount;
    private int _threadCount;
    private int _idle;
    private bool _stopping;
    private bool _eventsEnabled = true;

    public BlockWorkers(RawFile file, BlockSlots slots, EventFd completion, int maxThreads)
    {
        _file = file;
        _slots = slots;
        _completion = completion;
        _queue = new int[slots.Depth];
        _done = new int[slots.Depth];
        _threads = new Thread?[maxThreads];
    }

    /// <summary>A hint: something can be taken back.</summary>
    public bool HasDone => Volatile.Read(ref _doneCount) > 0;

    public void SetEventsEnabled(bool enabled)
    {
        Volatile.Write(ref _eventsEnabled, enabled);
        // Pairs with the lock in Finish: the owner's next look at HasDone is not done before this store.
        Interlocked.MemoryBarrier();
    }

    /// <summary>Owner thread. The slot belongs to the workers until taken back.</summary>
    public void Enqueue(int slot)
    {
        lock (_gate)
        {
            _queue[(_queueHead + _queueCount) % _queue.Length] = slot;
            _queueCount++;
            if (_idle < _queueCount && _threadCount < _threads.Length)
                StartThread();
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Owner thread: a slot whose result is in its transfer.</summary>
    public bool TryTakeDone(out int slot)
    {
        slot = -1;
        if (!HasDone)
            return false;
        lock (_gate)
        {
            if (_doneCount == 0)
                return false;
            slot = _done[--_doneCount];
            return true;
        }
    }

    /// <summary>Owner thread, with work enqueued: returns when something can be taken back.</summary>
    public void WaitDone()
    {
        lock (_gate)
        {
            while (_doneCount == 0)
                Monitor.Wait(_gate);
        }
    }

    /// <summary>Ends the threads; what they work on is finished first.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
        }

        foreach (Thread? thread in _threads)
            thread?.Join();
    }

    private void StartThread()
    {
        Thread thread = HostThread.Create($"blk-worker-{_threadCount}", ThreadRole.Io, Run, 256 * 1024);
        _threads[_threadCount++] = thread;
        ThreadStarter.Start(thread);
    }

    private void Run()
    {
        while (TryDequeue(out int slot))
        {
            int result = Execute(_slots[slot]);
            _slots[slot]->Result = result;
            Finish(slot);
        }
    }

    private bool TryDequeue(out int slot)
    {
        lock (_gate)
        {
            while (_queueCount == 0)
            {
                if (_stopping)
                {
                    slot = -1;
                    return false;
                }

                _idle++;
                Monitor.Wait(_gate);
                _idle--;
            }

            slot = _queue[_queueHead];
            _queueHead = (_queueHead + 1) % _queue.Length;
            _queueCount--;
            return true;
        }
    }

    private void Finish(int slot)
    {
        bool first;
        lock (_gate)
        {
            first = _doneCount == 0;
            _done[_doneCount++] = slot;
            if (first)
                Monitor.PulseAll(_gate);
        }

        // Pairs with SetEventsEnabled: either we see events on, or the owner sees our entry when it looks once more.
        Interlocked.MemoryBarrier();
        if (first && Volatile.Read(ref _eventsEnabled))
            _completion.Signal();
    }

    /// <summary>Nothing may leave the thread: what the host refuses, memory included, is the request's result.</summary>
    private int Execute(BlockTransfer* transfer)
    {
        try
        {
            return ExecuteOnHost(transfer);
        }
        catch (OutOfMemoryException)
        {
            return -LibcConstants.ENOMEM;
        }
    }

    private int ExecuteOnHost(BlockTransfer* transfer)
    {
        ref readonly BlockRequest request = ref transfer->Request;
        int result;
        switch (request.Operation)
        {
            case BlockOperation.Discard:
                return _file.Discard(request.OffsetBytes, request.LengthBytes);
            case BlockOperation.WriteZeroes:
                result = _file.WriteZeroes(request.OffsetBytes, request.LengthBytes, (request.Flags & BlockRequestFlags.MayUnmap) != 0);
                return result == 0 && _file.IsFua(request) ? _file.Sync() : result;
            default:
                return _file.RunTransfer(transfer);
        }
    }
}
