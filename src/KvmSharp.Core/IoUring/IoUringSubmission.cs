using KvmSharp.Abi;

namespace KvmSharp.Core.IoUring;

/// <summary>Our side of the submission ring. Values of shared words are cached, never pointers mistaken for values.</summary>
internal sealed unsafe class IoUringSubmission
{
    private readonly io_uring_sqe* _sqes;
    private readonly uint* _kernelHead;
    private readonly uint* _sharedTail;
    private readonly uint* _flags;
    private readonly uint _mask;
    private uint _tail;
    private uint _published;
    private uint _consumed;

    public IoUringSubmission(byte* rings, io_uring_sqe* sqes, in io_sqring_offsets offsets, uint entries)
    {
        _sqes = sqes;
        _kernelHead = (uint*)(rings + offsets.head);
        _sharedTail = (uint*)(rings + offsets.tail);
        _flags = (uint*)(rings + offsets.flags);
        _mask = *(uint*)(rings + offsets.ring_mask);
        Capacity = entries;
        // Entry i of the index array is always sqe i, so it is written once.
        uint* array = (uint*)(rings + offsets.array);
        for (uint i = 0; i < entries; i++)
            array[i] = i;
    }

    public uint Capacity { get; }

    public uint Unsubmitted => _tail - _consumed;

    /// <summary>The kernel has deferred work or overflown completions that only an entry with GETEVENTS delivers.</summary>
    public bool KernelWantsEntry =>
        (Volatile.Read(ref *_flags) & (IoUringConstants.IORING_SQ_TASKRUN | IoUringConstants.IORING_SQ_CQ_OVERFLOW)) != 0;

    public io_uring_sqe* TryTake()
    {
        // Acquire: pairs with the kernel's release of head after it has read the entry; only then may we write it again.
        if (_tail - Volatile.Read(ref *_kernelHead) >= Capacity)
            return null;
        // SAFETY: masked index < entries; the entry is free by the check above.
        io_uring_sqe* sqe = _sqes + (_tail++ & _mask);
        *sqe = default;
        return sqe;
    }

    /// <summary>Makes all taken entries visible; how many the kernel has not consumed yet.</summary>
    public uint Publish()
    {
        if (_published != _tail)
        {
            _published = _tail;
            // Release: pairs with the kernel's acquire of tail; the entries are complete before it.
            Volatile.Write(ref *_sharedTail, _tail);
        }

        return _tail - _consumed;
    }

    public void RaiseTaskRun() => Interlocked.Or(ref *_flags, IoUringConstants.IORING_SQ_TASKRUN);

    public void Consumed(uint count) => _consumed += count;
}
