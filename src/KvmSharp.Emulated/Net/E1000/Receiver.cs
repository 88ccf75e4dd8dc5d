using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// Puts frames from the host into the receive ring (manual §3.2). A frame that finds no descriptor waits, so the host's own queue
/// holds those behind it. All but <see cref="TailMoved"/> on the loop. Interrupt delays (RDTR, RADV) count as over when a turn is.
/// </summary>
internal sealed unsafe class Receiver : INetQueue
{
    private const int Budget = 256, Batch = 64;
    private const int AddressesLength = 12, TagLength = 4, MinLength = 60, CheckSequenceLength = 4;

    /// <summary>Without long packet enable; a tag comes on top (§13.4.22).</summary>
    private const int MaxUsual = 1514;

    /// <summary>Header, frame, and room to tell that a frame is too long.</summary>
    private const int BufferLength = 16 + TransmitFrame.MaxLength + 1024;

    private const int FrameStart = 16;

    // Status bits of a descriptor; errors and the tag go above.
    private const ulong Done = 1, EndOfPacket = 1 << 1, HasTag = 1 << 3, Inexact = 1 << 7, DataError = 1 << 15;
    private const int StatusShift = 32, TagShift = 48;

    private readonly RegisterFile _registers;
    private readonly GuestMemory _memory;
    private readonly InterruptCauses _interrupts;
    private readonly Statistics _statistics;
    private readonly byte[] _buffer = GC.AllocateArray<byte>(BufferLength, pinned: true);
    private readonly IoVec[] _vector;
    private INetQueue? _host;
    private DescriptorRing _ring;
    private uint _head;
    private int _descriptorLength;

    // The frame that waits in the buffer: where it starts, its length with check sequence (0: there is none), and its descriptors' second quadword.
    private int _start;
    private int _length;
    private ulong _status;
    private int _unreported;
    private int _starved;

    public Receiver(RegisterFile registers, GuestMemory memory, InterruptCauses interrupts, Statistics statistics)
    {
        _registers = registers;
        _memory = memory;
        _interrupts = interrupts;
        _statistics = statistics;
        // SAFETY: the array is pinned; the header ends where the frame starts.
        int start = FrameStart - sizeof(virtio_net_hdr_v1);
        _vector = [new IoVec((byte*)Marshal.UnsafeAddrOfPinnedArrayElement(_buffer, start), (nuint)(BufferLength - start))];
    }

    FileDescriptor INetQueue.Poll => throw new NotSupportedException();

    /// <summary>The ring was enabled, disabled or moved.</summary>
    public void Restart(INetQueue? host)
    {
        _host = host;
        _length = 0;
        _ring = host is null ? default : DescriptorRing.Open(_registers, _memory, RDBAL);
        _head = _registers[RDH];
        uint control = _registers[RCTL];
        // With BSEX the sizes are sixteen times as large, and the largest is not there (§13.4.22).
        uint size = control >> RCTL_BSIZE_SHIFT & 3;
        _descriptorLength = 2048 >> (int)size << ((control & RCTL_BSEX) != 0 && size != 0 ? 4 : 0);
        Volatile.Write(ref _starved, 0);
    }

    /// <summary>The driver moved the tail: true if the loop has to be told. vCPU threads.</summary>
    public bool TailMoved()
    {
        // Pairs with the fence in IsStarved: either it sees the tail, or we see that it waits.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _starved) != 0 && Interlocked.Exchange(ref _starved, 0) != 0;
    }

    /// <summary>Takes frames until the host has no more, the driver has no descriptors, or the turn is over: then true.</summary>
    public bool Serve()
    {
        int budget = _ring.Count == 0 ? 0 : Budget;
        bool more = budget > 0;
        while (more && budget-- > 0)
        {
            if (_length == 0 && !IsStarved(1))
                more = TryTake(_host!.Receive(_vector));
            else
                more = _length != 0;
            if (_length != 0)
                more = TryDeliver();
        }

        Report();
        return more;
    }

    /// <summary>A frame that the driver sends to itself. It is lost if there is no room.</summary>
    int INetQueue.Send(ReadOnlySpan<IoVec> from)
    {
        if (_ring.Count != 0 && _length == 0)
        {
            _ = TryTake(IoVecCopy.CopyTo(from, 0, _vector[0].Span));
            if (_length != 0 && !TryDeliver())
                _length = 0;
        }

        return 0;
    }

    int INetQueue.Receive(ReadOnlySpan<IoVec> to) => throw new NotSupportedException();

    void IDisposable.Dispose()
    {
    }

    /// <summary>Looks at a frame that has come and keeps it if the driver wants it. False: nothing has come.</summary>
    /// <param name="received">Bytes with header.</param>
    private bool TryTake(int received)
    {
        int length = received - sizeof(virtio_net_hdr_v1);
        if (length < AddressesLength + 2)
            return received >= 0;
        virtio_net_hdr_v1 header = MemoryMarshal.Read<virtio_net_hdr_v1>(_vector[0].Span);
        Span<byte> frame = _buffer.AsSpan(FrameStart, length);
        if (!ReceiveFilter.Passes(_registers, frame, out bool inexact))
            return true;
        bool tagged = ReceiveFilter.IsTagged(_registers, frame);
        uint control = _registers[RCTL];
        if (length > ((control & RCTL_LPE) != 0 ? TransmitFrame.MaxLength : MaxUsual + (tagged ? TagLength : 0)))
        {
            _statistics.Oversized();
            return true;
        }

        bool partial = (header.flags & VirtioNet.VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
        if (partial)
            ReceiveChecksum.Complete(frame, header.csum_start, header.csum_offset);
        _statistics.Received(frame[0], frame[..MacAddress.Length].IndexOfAnyExcept((byte)0xFF) < 0, length);
        _status = Done | (inexact ? Inexact : 0);
        _start = FrameStart;
        if (tagged && (_registers[CTRL] & CTRL_VME) != 0)
        {
            ulong tag = BinaryPrimitives.ReadUInt16BigEndian(frame[(AddressesLength + 2)..]);
            _status |= HasTag | tag << (TagShift - StatusShift);
            frame[..AddressesLength].CopyTo(frame[TagLength..]);
            frame = frame[TagLength..];
            _start += TagLength;
        }

        bool trusted = partial || (header.flags & VirtioNet.VIRTIO_NET_HDR_F_DATA_VALID) != 0;
        _status |= ReceiveChecksum.Inspect(frame, _registers[RXCSUM], trusted);
        Close(frame.Length);
        return true;
    }

    /// <summary>Pads as a sender on a wire has to, and appends the check sequence unless it is stripped. Nobody made one: it reads zero.</summary>
    private void Close(int length)
    {
        int padded = Math.Max(length, MinLength);
        int total = padded + ((_registers[RCTL] & RCTL_SECRC) != 0 ? 0 : CheckSequenceLength);
        _buffer.AsSpan(_start + length, total - length).Clear();
        _length = total;
    }

    /// <summary>False: too few descriptors.</summary>
    private bool TryDeliver()
    {
        uint needed = (uint)((_length + _descriptorLength - 1) / _descriptorLength);
        if (needed >= _ring.Count)
        {
            _statistics.Missed();
            _length = 0;
            return true;
        }

        if (IsStarved(needed))
            return false;
        uint free = _ring.Distance(_head, _registers[RDT]);
        for (int done = 0; done < _length; done += _descriptorLength)
            Fill(_buffer.AsSpan(_start + done, Math.Min(_length - done, _descriptorLength)), last: _length - done <= _descriptorLength);
        _length = 0;
        _registers[RDH] = _head;
        uint threshold = _ring.Count >> (int)((_registers[RCTL] >> RCTL_RDMTS_SHIFT & 3) + 1);
        _unreported++;
        if (free > threshold && free - needed <= threshold)
            _interrupts.Raise(ICR_RXDMT0);
        if (_unreported >= Batch)
            Report();
        return true;
    }

    private void Fill(ReadOnlySpan<byte> part, bool last)
    {
        _ring.Read(_head, out ulong address, out _);
        bool stored = _memory.TryWrite(new GuestAddress(address), part);
        ulong status = (last ? _status | EndOfPacket : Done) | (stored ? 0 : DataError);
        _ring.WriteBack(_head, (uint)part.Length | status << StatusShift);
        _head = _ring.Next(_head);
    }

    /// <summary>True if the driver has fewer descriptors; the tail's next move is told then.</summary>
    private bool IsStarved(uint needed)
    {
        if (_ring.Distance(_head, _registers[RDT]) >= needed)
            return false;
        Volatile.Write(ref _starved, 1);
        Interlocked.MemoryBarrier();
        return _ring.Distance(_head, _registers[RDT]) < needed;
    }

    private void Report()
    {
        if (_unreported == 0)
            return;
        _unreported = 0;
        _interrupts.Raise(ICR_RXT0);
    }
}
