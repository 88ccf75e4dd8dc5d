using System.Diagnostics;
using System.Numerics;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.IoUring;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.IoUringConstants;

namespace KvmSharp.Backends.Block;

/// <summary>
/// The engine over io_uring: reads, writes and flushes through the ring, one system call per <see cref="Submit"/>; discards, zeroes
/// and what direct I/O cannot address through a thread, since the kernel would use one too.
/// </summary>
internal sealed unsafe class IoUringBlockIo : IBlockIo
{
    private readonly RawFile _file;
    private readonly IBlockCompletion _sink;
    private readonly IoUringRing _ring;
    private readonly BlockSlots _slots;
    private readonly BlockWorkers _workers;
    private readonly FixedBuffers? _fixed;
    private readonly int _fd;
    private readonly byte _sqeFlags;
    private int _inRing;
    private bool _eventsWanted = true;
    private bool _eventsOn = true;
    private bool _disposed;

    public IoUringBlockIo(RawFile file, int depth, IBlockCompletion sink, GuestMemory? registeredMemory)
    {
        _file = file;
        _sink = sink;
        _ring = IoUringRing.Create(BitOperations.RoundUpToPowerOf2((uint)depth));
        try
        {
            int error = _ring.RegisterEventFd(Completion);
            if (error < 0)
                throw new LinuxException("io_uring_register IORING_REGISTER_EVENTFD", -error);
            bool registered = _ring.RegisterFiles([file.Fd]) == 0;
            _fd = registered ? 0 : file.Fd;
            _sqeFlags = registered ? IOSQE_FIXED_FILE : (byte)0;
            _fixed = FixedBuffers.TryRegister(_ring, registeredMemory);
        }
        catch
        {
            _ring.Dispose();
            Completion.Dispose();
            throw;
        }

        _slots = new BlockSlots(depth, file.Traits.MemoryAlignment, file.TraceName);
        _workers = new BlockWorkers(file, _slots, Completion, maxThreads: 1);
    }

    public EventFd Completion { get; } = new();

    /// <summary>For tests.</summary>
    internal IoUringRing Ring => _ring;

    public int InFlight => _slots.InFlight;

    /// <summary>True if guest memory is registered with the ring.</summary>
    public bool UsesFixedBuffers => _fixed is not null;

    public bool HasCompletions => _ring.HasWork || _slots.HasFinished || _workers.HasDone;

    public bool CompletesAtOnce => false;

    public void SetCompletionEvents(bool enabled)
    {
        _eventsWanted = enabled;
        _workers.SetEventsEnabled(enabled);
        ApplyEvents(enabled);
    }

    public bool TryEnqueue(in BlockRequest request)
    {
        int slot = _slots.TryTake(request);
        if (slot < 0)
            return false;
        if (BlockAdmission.TryFinish(_file, _slots, slot))
            return true;
        if (request.Operation is BlockOperation.Discard or BlockOperation.WriteZeroes || !_file.IsAddressable(request))
        {
            _workers.Enqueue(slot);
            return true;
        }

        if (_file.NeedsBounce(request) && !_slots.TryUseBounce(slot))
        {
            _slots.Finish(slot, -LibcConstants.ENOMEM);
            return true;
        }

        Prepare(slot);
        _inRing++;
        return true;
    }

    public void Submit()
    {
        if (_ring.Unsubmitted == 0)
            return;
        // Whatever completes within the call is found by the owner's Reap, which follows; an event would wake it in vain.
        ApplyEvents(false);
        Enter(0);
    }

    public int Reap()
    {
        int count = 0;
        do
        {
            while (_ring.TryReap(out io_uring_cqe completion))
                count += OnRingCompletion((int)completion.user_data, completion.res);
            while (_slots.TryTakeFinished(out int slot) || _workers.TryTakeDone(out slot))
                count += Report(slot, _slots[slot]->Result);
            if (_ring.Unsubmitted > 0)
                Enter(0);
            if (_eventsWanted)
                ApplyEvents(true);
        }
        while (_slots.HasFinished || _workers.HasDone || _ring.TryFetch());
        return count;
    }

    public void Drain()
    {
        Submit();
        Reap();
        while (InFlight > 0)
        {
            if (_inRing > 0)
                Enter(1);
            else
                _workers.WaitDone();
            Reap();
        }
    }

    /// <summary>Waits for what is in flight, which only the owner's thread can; it is reported as by <see cref="Drain"/>.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (InFlight > 0)
            Drain();
        _workers.Dispose();
        _ring.Dispose();
        _slots.Dispose();
        Completion.Dispose();
    }

    private int OnRingCompletion(int slot, int result)
    {
        BlockTransfer* transfer = _slots[slot];
        if (transfer->Syncing)
            result = _file.FilterFlush(result);
        if (!transfer->Advance(result, out int final))
        {
            Prepare(slot);
            return 0;
        }

        _inRing--;
        return Report(slot, final);
    }

    private int Report(int slot, int result)
    {
        _sink.OnCompleted(_slots.Release(slot, result), result);
        return 1;
    }

    private void Enter(uint waitFor)
    {
        int result = _ring.Enable();
        if (result == 0)
            result = _ring.Submit(waitFor);
        if (result is -LibcConstants.EAGAIN or -LibcConstants.EBUSY)
        {
            // The kernel is short of memory or of room: come back with the next event.
            Completion.Signal();
        }
        else if (result is < 0 and not -LibcConstants.EINTR)
        {
            // EEXIST: used from two threads; EBADF and EFAULT: not possible. Requests in it would never complete, so the loop must fail loudly.
            throw new LinuxException("io_uring_enter", -result);
        }
    }

    private void ApplyEvents(bool on)
    {
        if (_eventsOn == on)
            return;
        _eventsOn = on;
        _ring.SetEventsEnabled(on);
    }

    private void Prepare(int slot)
    {
        io_uring_sqe* sqe = _ring.TryGetSqe();
        if (sqe == null)
        {
            // As many entries as slots, one per slot: full only if the kernel has not taken the last batch yet.
            Enter(0);
            sqe = _ring.TryGetSqe();
            if (sqe == null)
                throw new UnreachableException("io_uring submission ring is full");
        }

        sqe->fd = _fd;
        sqe->flags = _sqeFlags;
        sqe->user_data = (ulong)slot;
        BlockTransfer* transfer = _slots[slot];
        if (transfer->Syncing)
        {
            sqe->opcode = IORING_OP_FSYNC;
            sqe->fsync_flags = IORING_FSYNC_DATASYNC;
            return;
        }

        bool write = transfer->Request.Operation == BlockOperation.Write;
        IoVec* vectors = transfer->NextVectors(out int count);
        sqe->off = transfer->Offset;
        sqe->rw_flags = write ? (uint)_file.WriteFlags(transfer) : 0;
        if (count > 1)
        {
            sqe->opcode = write ? IORING_OP_WRITEV : IORING_OP_READV;
            sqe->addr = (ulong)vectors;
            sqe->len = (uint)count;
            return;
        }

        int buffer = _fixed is not null ? _fixed.Find(*vectors) : -1;
        sqe->addr = (ulong)vectors->Base;
        sqe->len = (uint)vectors->Length;
        sqe->opcode = write ? IORING_OP_WRITE : IORING_OP_READ;
        if (buffer < 0)
            return;
        sqe->opcode = write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
        sqe->buf_index = (ushort)buffer;
    }
}
