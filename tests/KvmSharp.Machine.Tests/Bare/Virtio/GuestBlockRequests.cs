using System.Buffers.Binary;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A list of virtio-blk requests, with their headers and status bytes, as guest memory from a start address on.</summary>
internal sealed class GuestBlockRequests(uint start)
{
    private const uint HeaderLength = 16, HeadersOffset = 0x4_0000, StatusesOffset = 0x5_0000;

    private readonly List<GuestRequest> _requests = [];
    private readonly List<byte> _headers = [];

    internal uint Start => start;

    internal int Count => _requests.Count;

    /// <summary>A byte for each request; not zero until the device says so.</summary>
    internal uint Statuses => start + StatusesOffset;

    internal void Add(uint type, ulong sector, params GuestBuffer[] data)
    {
        byte[] header = new byte[HeaderLength];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        uint at = start + HeadersOffset + (HeaderLength * (uint)Count);
        uint written = (uint)data.Where(b => b.Writable).Sum(b => b.Length) + 1;
        _requests.Add(new GuestRequest(written, [new(at, HeaderLength), .. data, new(Statuses + (uint)Count, 1, Writable: true)]));
        _headers.AddRange(header);
    }

    internal (uint Address, byte[] Data)[] Segments(GuestRing ring) =>
    [
        (start, GuestRequest.Encode(_requests, ring)),
        (start + HeadersOffset, [.. _headers]),
        (Statuses, [.. Enumerable.Repeat((byte)0xFF, Count)]),
    ];
}
