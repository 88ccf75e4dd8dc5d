using KvmSharp.Abi;

namespace KvmSharp.Core.IoUring;

/// <summary>Our side of the completion ring.</summary>
internal sealed unsafe class IoUringCompletion
{
    private readonly io_uring_cqe* _cqes;
    private readonly uint* _sharedHead;
    private readonly uint* _kernelTail;
    private readonly uint* _flags;
    private readonly uint _mask;
    private uint _head;

    public IoUringCompletion(byte* rings, in io_cqring_offsets offsets, uint entries)
    {
        _cqes = (io_uring_cqe*)(rings + offsets.cqes);
        _sharedHead = (uint*)(rings + offsets.head);
        _kernelTail = (uint*)(rings + offsets.tail);
        _flags = (uint*)(rings + offsets.flags);
        _mask = entries - 1;
        _head = *_sharedHead;
    }

    public bool IsEmpty => Volatile.Read(ref *_kernelTail) == _head;

    public bool TryTake(out io_uring_cqe completion)
    {
        // Acquire: pairs with the kernel's release of tail; the entry is complete before it.
        if (Volatile.Read(ref *_kernelTail) == _head)
        {
            completion = default;
            return false;
        }

        // SAFETY: masked index < entries; the entry is ours until head passes it.
        completion = _cqes[_head & _mask];
        // Release: pairs with the kernel's acquire of head; we have read the entry before it may be overwritten.
        Volatile.Write(ref *_sharedHead, ++_head);
        return true;
    }

    /// <summary>IORING_CQ_EVENTFD_DISABLED; a full fence so that a following look at the ring is not done too early.</summary>
    public void SetEventsEnabled(bool enabled)
    {
        Volatile.Write(ref *_flags, enabled ? 0 : IoUringConstants.IORING_CQ_EVENTFD_DISABLED);
        Interlocked.MemoryBarrier();
    }
}
