using System.Buffers.Binary;
using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>
/// A receive queue: packets go from the host straight into as many of the driver's buffers as they take. Loop thread. Buffers are
/// popped ahead, enough for the largest packet; only when the driver has fewer there does a packet go through memory of ours.
/// </summary>
internal sealed unsafe class NetReceiver
{
    private const int HeaderLength = TapBackend.HeaderLength;
    private const int NumBuffersOffset = 10;

    /// <summary>IP packet, Ethernet header, VLAN tag, our header: no packet of the host's is longer.</summary>
    private const int LargestPacket = 65535 + 18 + HeaderLength;

    /// <summary>UIO_MAXIOV, and as many segments as a chain may have.</summary>
    private const int MaxVectors = 1024;

    private const int Budget = 256;
    private const int Batch = 64;

    private readonly NetShared _shared;
    private readonly VirtQueueBinding _binding;
    private readonly VirtQueue _queue;
    private readonly INetQueue _host;
    private readonly bool _mergeable;
    private readonly uint _wanted;
    private readonly IoVec[] _vectors = GC.AllocateArray<IoVec>(MaxVectors, pinned: true);
    private readonly Posted[] _posted;
    private readonly IoVec[] _spareVector;
    private readonly byte[] _spare = GC.AllocateUninitializedArray<byte>(LargestPacket, pinned: true);
    private int _postedCount;
    private int _vectorCount;
    private uint _postedBytes;
    private int _spareLength;
    private int _unpublished;

    public NetReceiver(NetShared shared, VirtQueueBinding binding, VirtQueue queue, INetQueue host)
    {
        _shared = shared;
        _binding = binding;
        _queue = queue;
        _host = host;
        _posted = new Posted[queue.Size];
        _mergeable = binding.Context.Has(1UL << VIRTIO_NET_F_MRG_RXBUF);
        bool large = (binding.Context.Features & NetOffloadBits.Segmentation) != 0;
        _wanted = large ? LargestPacket : (uint)Math.Min(shared.Backend.Mtu + 18 + HeaderLength, LargestPacket);
        // SAFETY: the array is pinned and as long as it says.
        fixed (byte* spare = _spare)
            _spareVector = [new IoVec(spare, LargestPacket)];
    }

    /// <summary>Takes packets until the host has no more, the driver has no buffers, or the turn is over: then true.</summary>
    public bool Serve()
    {
        for (int budget = Budget; budget > 0; budget--)
        {
            Refill();
            if (!TryReceive(out bool starved))
            {
                Publish();
                if (!starved)
                    return false;
                if (_queue.TryEnableNotifications())
                {
                    _binding.Context.ReportFault(_binding.Index, _queue);
                    return false;
                }

                _queue.DisableNotifications();
            }

            if (_unpublished >= Batch)
                Publish();
        }

        Publish();
        return true;
    }

    /// <summary>Gives the buffers that hold nothing back to the ring.</summary>
    public VirtQueueState Stop()
    {
        while (_postedCount > 0)
            _queue.Unpop(_posted[--_postedCount].Token);
        return _queue.Save();
    }

    private void Refill()
    {
        while (_postedBytes < _wanted && _postedCount < _posted.Length && _queue.TryPop(out DescriptorChain chain))
        {
            if (chain.Writable.Length > MaxVectors - _vectorCount)
            {
                _queue.Unpop(chain.Token);
                return;
            }

            chain.Writable.CopyTo(_vectors.AsSpan(_vectorCount));
            _vectorCount += chain.Writable.Length;
            _postedBytes += chain.WritableBytes;
            _posted[_postedCount++] = new Posted(chain.Token, chain.WritableBytes, chain.Writable.Length);
            if (!_mergeable)
                return;
        }
    }

    /// <summary>False: nothing to do now; <paramref name="starved"/> tells whose fault it is.</summary>
    private bool TryReceive(out bool starved)
    {
        starved = _postedCount == 0;
        if (starved)
            return false;
        uint room = _mergeable ? _postedBytes : _posted[0].Bytes;
        int vectors = _mergeable ? _vectorCount : _posted[0].Segments;
        if (_spareLength == 0 && room >= _wanted)
        {
            int length = _host.Receive(_vectors.AsSpan(0, vectors));
            if (length > HeaderLength && Passes(_vectors.AsSpan(0, vectors), length))
                Deliver(length);
            return length >= 0;
        }

        if (_spareLength == 0)
        {
            int length = _host.Receive(_spareVector);
            if (length < 0)
                return false;
            if (length <= HeaderLength || !Passes(_spareVector, length))
                return true;
            _spareLength = length;
        }

        if (_spareLength > room)
        {
            // More buffers may come, unless the ring is used up or a packet must fit one of them: then it never will.
            starved = _mergeable && _queue.InFlight < _queue.Size && _vectorCount < MaxVectors;
            _spareLength = starved ? _spareLength : 0;
            return !starved;
        }

        _ = IoVecCopy.CopyFrom(_vectors.AsSpan(0, vectors), 0, _spare.AsSpan(0, _spareLength));
        Deliver(_spareLength);
        _spareLength = 0;
        return true;
    }

    private bool Passes(ReadOnlySpan<IoVec> packet, int length)
    {
        Span<byte> head = stackalloc byte[NetFilter.HeadLength];
        int copied = IoVecCopy.CopyTo(packet, HeaderLength, head[..Math.Min(head.Length, length - HeaderLength)]);
        return copied >= 14 && _shared.Filter.Passes(head[..copied]);
    }

    /// <summary>Hands the buffers that the packet fills to the driver.</summary>
    private void Deliver(int length)
    {
        int count = 0, segments = 0;
        for (uint covered = 0; covered < length; count++)
        {
            covered += _posted[count].Bytes;
            segments += _posted[count].Segments;
        }

        // The host's header has no number of buffers (virtio 1.2 §5.1.6.4.1).
        Span<byte> number = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(number, (ushort)count);
        _ = IoVecCopy.CopyFrom(_vectors.AsSpan(0, segments), NumBuffersOffset, number);
        uint left = (uint)length;
        for (int i = 0; i < count; i++)
        {
            uint written = Math.Min(left, _posted[i].Bytes);
            _queue.Push(_posted[i].Token, written);
            _postedBytes -= _posted[i].Bytes;
            left -= written;
        }

        _postedCount -= count;
        _vectorCount -= segments;
        _posted.AsSpan(count, _postedCount).CopyTo(_posted);
        _vectors.AsSpan(segments, _vectorCount).CopyTo(_vectors);
        _unpublished += count;
    }

    private void Publish()
    {
        if (_unpublished == 0)
            return;
        _unpublished = 0;
        if (_queue.Publish())
            _binding.Context.Interrupt.SignalQueue(_binding.Index);
    }

    private readonly record struct Posted(VirtQueueToken Token, uint Bytes, int Segments);
}
