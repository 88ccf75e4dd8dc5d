using System.Buffers.Binary;
using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Vhost.User;

/// <summary>Where back ends keep what they have in flight, one after the other: memory that outlives each of them. It is theirs; nothing in it is trusted.</summary>
internal sealed unsafe class VhostUserInflightRegion : IDisposable
{
    /// <summary>"Inflight I/O tracking", the head of a packed virtqueue's part.</summary>
    private const int VersionOffset = 8, UsedIndexOffset = 16, OldUsedIndexOffset = 18, UsedWrapOffset = 20, OldUsedWrapOffset = 21, PackedHeadBytes = 32;

    /// <summary>Bits of a packed descriptor's flags (virtio 1.2 §2.8.1).</summary>
    private const ushort AvailFlag = 1 << 7, UsedFlag = 1 << 15;

    private const int DescriptorBytes = 16, FlagsOffset = 14;

    /// <summary>The last part of the file starts here at most.</summary>
    private const ulong MaxBytes = 1UL << 30;

    /// <summary>More than the largest vring needs.</summary>
    private const int MaxPartBytes = 1 << 21;

    private readonly FileDescriptor _file;
    private readonly VhostUserInflight _layout;

    private VhostUserInflightRegion(FileDescriptor file, VhostUserInflight layout)
    {
        _file = file;
        _layout = layout;
    }

    /// <summary>The back end makes it. Throws <see cref="LinuxException"/>.</summary>
    public static VhostUserInflightRegion Ask(VhostUserSession session, int vrings, ushort queueSize)
    {
        VhostUserInflight layout = new() { Queues = (ushort)vrings, QueueSize = queueSize };
        session.AskInflight(ref layout, out FileDescriptor? file);
        (layout.Queues, layout.QueueSize) = ((ushort)vrings, queueSize);
        return file is null ? throw new LinuxException("no region came for requests in flight", LibcConstants.EPROTO) : new VhostUserInflightRegion(file, layout);
    }

    /// <summary>The back end of this connection goes on with it.</summary>
    public void Tell(VhostUserSession session) => session.SetInflight(_layout, _file);

    /// <summary>
    /// Where a packed vring stands whose back end is gone: behind the last chain that it gave back; those after it are in the region or
    /// were not taken. False if nothing was written down.
    /// </summary>
    public bool TryReadPackedPosition(int vring, GuestMemory memory, GuestAddress descriptors, out uint position)
    {
        position = 0;
        if (!TryLocate(vring, out long part, out int bytes) || bytes < PackedHeadBytes)
            return false;
        // By reading, not by mapping: a file that is shorter than it was said to be costs nothing.
        byte* start = stackalloc byte[PackedHeadBytes];
        IoVec whole = new(start, PackedHeadBytes);
        if (Libc.preadv2(_file.Value, &whole, 1, part, 0) != PackedHeadBytes)
            return false;
        ReadOnlySpan<byte> head = new(start, PackedHeadBytes);
        if (BinaryPrimitives.ReadUInt16LittleEndian(head[VersionOffset..]) == 0)
            return false;
        int index = BinaryPrimitives.ReadUInt16LittleEndian(head[OldUsedIndexOffset..]) & 0x7fff;
        bool wrap = (head[OldUsedWrapOffset] & 1) != 0;
        // It died while it gave something back: what the driver sees says whether it did.
        ulong flagsAt = descriptors.Value + (ulong)index * DescriptorBytes + FlagsOffset;
        if (memory.TryRead(new GuestAddress(flagsAt), out ushort flags) && (flags & (AvailFlag | UsedFlag)) != (wrap ? AvailFlag : UsedFlag))
        {
            index = BinaryPrimitives.ReadUInt16LittleEndian(head[UsedIndexOffset..]) & 0x7fff;
            wrap = (head[UsedWrapOffset] & 1) != 0;
        }

        uint used = (uint)index | (wrap ? 1U << 15 : 0);
        position = used | used << 16;
        return true;
    }

    /// <summary>Nothing is in flight in this vring any more, which no back end has. False if that cannot be noted.</summary>
    public bool TryForget(int vring)
    {
        if (!TryLocate(vring, out long start, out int bytes) || bytes > MaxPartBytes)
            return false;
        fixed (byte* zeros = new byte[bytes])
        {
            IoVec part = new(zeros, (nuint)bytes);
            return Libc.pwritev2(_file.Value, &part, 1, start, 0) == bytes;
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>A vring's part of the file. False: the back end said nonsense.</summary>
    private bool TryLocate(int vring, out long start, out int bytes)
    {
        ulong stride = _layout.MapSize / _layout.Queues;
        bool sane = _layout.MapSize <= MaxBytes && _layout.MapOffset <= MaxBytes;
        start = sane ? (long)(_layout.MapOffset + (ulong)vring * stride) : 0;
        bytes = sane ? (int)stride : 0;
        return sane;
    }
}
