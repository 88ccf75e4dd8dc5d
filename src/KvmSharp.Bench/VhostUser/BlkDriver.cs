using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Bench.VhostUser;

/// <summary>
/// The driver side of one split virtqueue of a disk (virtio 1.2 §2.7, §5.2), with event index and without interrupts. Each request has three descriptors that
/// never change; a turn takes what is finished and submits as many anew. One thread; allocates nothing.
/// </summary>
internal sealed unsafe class BlkDriver
{
    public const ushort RingSize = 512;

    private const int RequestDescriptors = 3, BlockBytes = 4096, SectorsPerBlock = BlockBytes / 512, HeaderBytes = 16;
    private const ulong DescriptorArea = 0x1_0000, DriverArea = 0x2_0000, DeviceArea = 0x3_0000, Headers = 0x4_0000, Statuses = 0x5_0000, Data = 0x10_0000;
    private const ushort Next = 1, Writable = 2;

    private readonly byte* _memory;
    private readonly EventFd _kick;
    private readonly int _depth;
    private readonly ulong _blocks;
    private ulong _random = 0x9E37_79B9_7F4A_7C15;
    private ushort _available;
    private ushort _published;
    private ushort _used;

    public BlkDriver(GuestMemory memory, EventFd kick, int depth, bool write, ulong sectors)
    {
        // SAFETY: all that is used of memory lies below this length, which was asked for.
        if (!memory.TryGetPointer(new GuestAddress(0), Data + (ulong)BlkLoadOptions.MaxDepth * BlockBytes, out _memory))
            throw new ArgumentException("the memory is too small", nameof(memory));
        _kick = kick;
        _depth = depth;
        _blocks = Math.Max(1, sectors / SectorsPerBlock);
        for (uint i = 0; i < depth; i++)
        {
            uint first = i * RequestDescriptors;
            Describe(first, Headers + i * HeaderBytes, HeaderBytes, Next, first + 1);
            Describe(first + 1, Data + i * BlockBytes, BlockBytes, (ushort)(Next | (write ? 0 : Writable)), first + 2);
            Describe(first + 2, Statuses + i, 1, Writable, 0);
            *(ulong*)(_memory + Headers + i * HeaderBytes) = write ? 1u : 0u;
        }
    }

    /// <summary>Requests that were answered with an error.</summary>
    public long Failed { get; private set; }

    public VhostAreas Areas => new(Area(DescriptorArea), Area(DriverArea), Area(DeviceArea));

    /// <summary>Submits the first requests.</summary>
    public void Fill()
    {
        for (uint i = 0; i < _depth; i++)
            Submit(i);
        Publish();
    }

    /// <summary>Takes what is finished and submits as many anew; how many.</summary>
    public int Turn()
    {
        // Acquire: pairs with the device's release of used.idx.
        ushort end = Volatile.Read(ref *(ushort*)(_memory + DeviceArea + 2));
        int count = (ushort)(end - _used);
        if (count == 0)
            return 0;
        for (; _used != end; _used++)
        {
            uint request = *(uint*)(_memory + DeviceArea + 4 + 8 * (uint)(_used % RingSize)) / RequestDescriptors;
            // A device that answers with what it was not asked would be counted as fast.
            if (request >= _depth || _memory[Statuses + request] != 0)
            {
                Failed++;
                request = Math.Min(request, (uint)_depth - 1);
            }

            Submit(request);
        }

        // used_event half a turn away: no interrupt is asked for.
        Volatile.Write(ref *(ushort*)(_memory + DriverArea + 4 + 2 * RingSize), (ushort)(_used + 0x8000));
        Publish();
        return count;
    }

    private VhostArea Area(ulong at) => new(new GuestAddress(at), (nint)(_memory + at));

    private void Describe(uint index, ulong address, uint length, ushort flags, uint next)
    {
        byte* descriptor = _memory + DescriptorArea + 16 * index;
        *(ulong*)descriptor = address;
        *(uint*)(descriptor + 8) = length;
        *(ushort*)(descriptor + 12) = flags;
        *(ushort*)(descriptor + 14) = (ushort)next;
    }

    private void Submit(uint request)
    {
        // xorshift64
        _random ^= _random << 13;
        _random ^= _random >> 7;
        _random ^= _random << 17;
        *(ulong*)(_memory + Headers + request * HeaderBytes + 8) = _random % _blocks * SectorsPerBlock;
        _memory[Statuses + request] = 0xFF;
        *(ushort*)(_memory + DriverArea + 4 + 2 * (uint)(_available % RingSize)) = (ushort)(request * RequestDescriptors);
        _available++;
    }

    private void Publish()
    {
        ushort old = _published;
        _published = _available;
        // Release: pairs with the device's acquire of avail.idx.
        Volatile.Write(ref *(ushort*)(_memory + DriverArea + 2), _available);
        // Pairs with the device's barrier between writing avail_event and re-reading avail.idx.
        Interlocked.MemoryBarrier();
        ushort wanted = Volatile.Read(ref *(ushort*)(_memory + DeviceArea + 4 + 8 * RingSize));
        if ((ushort)(_available - wanted - 1) < (ushort)(_available - old))
            _kick.Signal();
    }
}
