using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// Gives frames to the host from where they lie in guest memory. Checksums and segments (manual §3.5) are left to the host as far as
/// it takes them; what it does not is done on a copy. Loop thread.
/// </summary>
/// <param name="hostOffloads">The host completes checksums and cuts TCP segments.</param>
internal sealed unsafe class FrameSender(bool hostOffloads, Statistics statistics)
{
    public const ushort VlanType = 0x8100;

    private const int AddressesLength = 12, TagLength = 4, MinLength = 14;

    /// <summary>An IP packet is no longer than this.</summary>
    private const int MaxPacket = 65535;

    /// <summary>More segments than a packet of 64 KiB has at the smallest segment size hosts use: a frame that asks for more, where the host does not cut, is dropped.</summary>
    private const int MaxOwnSegments = 1024;

    /// <summary>What goes before the frame, with room for a tag, and as much of the frame as is not sent from guest memory.</summary>
    private const int BytesStart = 16, BufferLength = BytesStart + MaxPacket + 512;

    private static readonly int s_headerLength = sizeof(virtio_net_hdr_v1);

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferLength, pinned: true);
    private readonly IoVec[] _vectors = GC.AllocateArray<IoVec>(1024, pinned: true);

    /// <summary>Sends a whole frame, or what is left of one that is cut. -EAGAIN when there is no room; anything else: it is done with.</summary>
    public int Send(TransmitFrame frame, in TransmitContext context, int? tag, INetQueue to, bool toHost)
    {
        if (frame.IsBad || frame.Length < MinLength)
            return 0;
        return frame.First.Segments ? SendSegmented(frame, context, tag, to, toHost) : SendPlain(frame, context, tag, to);
    }

    private int SendPlain(TransmitFrame frame, in TransmitContext context, int? tag, INetQueue to)
    {
        int length = frame.Length;
        ChecksumField ip = context.Ip;
        bool insertIp = frame.First.InsertsIpChecksum && ip.Fits(length);
        ChecksumField transport = frame.Last.InsertsLegacyChecksum ? frame.Last.LegacyChecksum : context.Transport;
        bool insert = (frame.Last.InsertsLegacyChecksum || frame.First.InsertsTransportChecksum) && transport.Fits(length);
        bool byHost = insert && hostOffloads && transport.End(length) == length && transport.At >= transport.Start;

        int copied = tag is null ? 0 : AddressesLength;
        if (insertIp)
            copied = Math.Max(copied, Math.Max(ip.At + 2, ip.End(length)));
        if (insert && !byHost)
            copied = length;
        Span<byte> bytes = Copy(frame, copied);
        if (insertIp)
            Insert(bytes, ip, ip.End(length));
        if (insert && !byHost)
            Insert(bytes, transport, transport.End(length));

        virtio_net_hdr_v1 header = default;
        if (byHost)
            RequestChecksum(ref header, transport, tag);
        int result = Emit(frame, header, copied, copied, length - copied, tag, to);
        if (result != -LibcConstants.EAGAIN)
            Count(frame, 1, length);
        return result;
    }

    private int SendSegmented(TransmitFrame frame, in TransmitContext context, int? tag, INetQueue to, bool toHost)
    {
        int payload = frame.Length - context.HeaderLength;
        int size = context.SegmentSize;
        if (size == 0 || payload <= 0 || !HeadersFit(context))
            return 0;
        int segments = (payload + size - 1) / size;
        bool byHost = hostOffloads && toHost && context.IsTcp && frame.First.InsertsTransportChecksum;
        int unit = byHost ? (MaxPacket - (context.HeaderLength - context.Ip.Start)) / size * size : size;
        if (unit == 0 || (!byHost && segments > MaxOwnSegments))
            return 0;
        while (frame.PayloadSent < payload)
        {
            int count = Math.Min(unit, payload - frame.PayloadSent);
            int result = SendPart(frame, context, count, frame.PayloadSent + count == payload, byHost, tag, to);
            if (result == -LibcConstants.EAGAIN)
                return result;
            frame.PayloadSent += count;
        }

        Count(frame, segments, payload + ((long)segments * context.HeaderLength));
        return 0;
    }

    /// <summary>The headers that are changed in every segment lie inside what is repeated.</summary>
    private static bool HeadersFit(in TransmitContext context)
    {
        int transport = context.Transport.Start;
        return context.Ip.Start >= MinLength && transport >= context.Ip.Start + (context.IsIpv4 ? 20 : 40) &&
            transport + (context.IsTcp ? 20 : 8) <= context.HeaderLength &&
            context.Transport.At >= transport && context.Transport.At + 2 <= context.HeaderLength;
    }

    /// <summary>One segment, or several that the host cuts.</summary>
    /// <param name="count">Bytes of payload from <see cref="TransmitFrame.PayloadSent"/> on.</param>
    private int SendPart(TransmitFrame frame, in TransmitContext context, int count, bool last, bool byHost, int? tag, INetQueue to)
    {
        int headers = context.HeaderLength;
        Span<byte> bytes = Copy(frame, headers);
        Span<byte> ip = bytes[context.Ip.Start..];
        Span<byte> transport = bytes[context.Transport.Start..];
        if (context.IsIpv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)(headers - context.Ip.Start + count));
            Add16(ip[4..], frame.PayloadSent / context.SegmentSize);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)(headers - context.Ip.Start - 40 + count));
        }

        if (frame.First.InsertsIpChecksum && context.Ip.Fits(headers))
            Insert(bytes, context.Ip, context.Ip.End(headers));
        bool congestion = context.IsTcp && PatchTcp(transport, frame.PayloadSent, last);
        int transportLength = headers - context.Transport.Start + count;
        if (!context.IsTcp)
            BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)transportLength);
        // The driver's sum of the pseudo header is without the length, which differs per segment (manual §3.5.7).
        Span<byte> sum = bytes[context.Transport.At..];
        BinaryPrimitives.WriteUInt16BigEndian(sum, InternetChecksum.Fold(BinaryPrimitives.ReadUInt16BigEndian(sum) + (uint)transportLength));

        virtio_net_hdr_v1 header = default;
        if (byHost)
        {
            RequestChecksum(ref header, context.Transport, tag);
            if (count > context.SegmentSize)
            {
                byte kind = context.IsIpv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
                header.gso_type = (byte)(kind | (congestion ? VIRTIO_NET_HDR_GSO_ECN : 0));
                header.gso_size = (ushort)context.SegmentSize;
                header.hdr_len = (ushort)(headers + (tag is null ? 0 : TagLength));
            }

            return Emit(frame, header, headers, headers + frame.PayloadSent, count, tag, to);
        }

        // SAFETY of the length: headers are at most 255 bytes and a segment 65535.
        bytes = MemoryMarshal.CreateSpan(ref bytes[0], headers + count);
        _ = IoVecCopy.CopyTo(frame.Pieces, (ulong)(headers + frame.PayloadSent), bytes[headers..]);
        if (frame.First.InsertsTransportChecksum)
            Insert(bytes, context.Transport, bytes.Length);
        return Emit(frame, header, bytes.Length, 0, 0, tag, to);
    }

    /// <summary>Sequence number; FIN and PSH only with the last byte, CWR only with the first. True if CWR is set.</summary>
    private static bool PatchTcp(Span<byte> tcp, int offset, bool last)
    {
        const byte Fin = 1, Psh = 8, Cwr = 0x80;
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]) + (uint)offset);
        if (!last)
            tcp[13] &= unchecked((byte)~(Fin | Psh));
        if (offset > 0)
            tcp[13] &= unchecked((byte)~Cwr);
        return (tcp[13] & Cwr) != 0;
    }

    private static void Add16(Span<byte> field, int value) =>
        BinaryPrimitives.WriteUInt16BigEndian(field, (ushort)(BinaryPrimitives.ReadUInt16BigEndian(field) + value));

    private static void RequestChecksum(ref virtio_net_hdr_v1 header, ChecksumField field, int? tag)
    {
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.csum_start = (ushort)(field.Start + (tag is null ? 0 : TagLength));
        header.csum_offset = (ushort)(field.At - field.Start);
    }

    /// <summary>What lies in the field is part of the sum: the driver's sum of a pseudo header, or zero.</summary>
    private static void Insert(Span<byte> bytes, ChecksumField field, int end) =>
        BinaryPrimitives.WriteUInt16BigEndian(bytes[field.At..], (ushort)~InternetChecksum.Sum(bytes[field.Start..end]));

    /// <summary>Takes the first bytes of the frame out of the guest's reach.</summary>
    private Span<byte> Copy(TransmitFrame frame, int count)
    {
        Span<byte> bytes = _buffer.AsSpan(BytesStart, count);
        _ = IoVecCopy.CopyTo(frame.Pieces, 0, bytes);
        return bytes;
    }

    /// <summary>Sends <paramref name="own"/> bytes of ours, then <paramref name="count"/> of the guest's, from <paramref name="from"/> bytes into the frame.</summary>
    private int Emit(TransmitFrame frame, in virtio_net_hdr_v1 header, int own, int from, int count, int? tag, INetQueue to)
    {
        int start = BytesStart - s_headerLength;
        if (tag is { } value)
        {
            start -= TagLength;
            _buffer.AsSpan(BytesStart, AddressesLength).CopyTo(_buffer.AsSpan(BytesStart - TagLength));
            BinaryPrimitives.WriteUInt32BigEndian(_buffer.AsSpan(BytesStart - TagLength + AddressesLength), (uint)VlanType << 16 | (uint)value);
        }

        MemoryMarshal.Write(_buffer.AsSpan(start), header);
        // SAFETY: the array is pinned; BytesStart + own is within it, as own is at most MaxLength, or 255 and 65535.
        _vectors[0] = new IoVec((byte*)Marshal.UnsafeAddrOfPinnedArrayElement(_buffer, start), (nuint)(BytesStart - start + own));
        int vectors = 1;
        foreach (ref readonly IoVec piece in frame.Pieces)
        {
            if (count == 0)
                break;
            if (from >= (int)piece.Length)
            {
                from -= (int)piece.Length;
                continue;
            }

            int part = Math.Min((int)piece.Length - from, count);
            // SAFETY: from + part is at most the piece's length.
            _vectors[vectors++] = new IoVec(piece.Base + from, (nuint)part);
            count -= part;
            from = 0;
        }

        return to.Send(_vectors.AsSpan(0, vectors));
    }

    private void Count(TransmitFrame frame, int frames, long bytes)
    {
        Span<byte> destination = stackalloc byte[MacAddress.Length];
        _ = IoVecCopy.CopyTo(frame.Pieces, 0, destination);
        statistics.Sent(destination[0], destination.IndexOfAnyExcept((byte)0xFF) < 0, frames, bytes);
    }
}
