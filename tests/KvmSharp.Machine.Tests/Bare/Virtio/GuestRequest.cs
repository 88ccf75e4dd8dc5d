using System.Buffers.Binary;
using static KvmSharp.Abi.Virtio.VirtioRing;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>A buffer of a request.</summary>
internal readonly record struct GuestBuffer(ulong Address, uint Length, bool Writable = false);

/// <summary>A request that a payload finds prepared in its memory: its buffers, and how many bytes the device is to say it has written.</summary>
internal sealed record GuestRequest(uint Written, params GuestBuffer[] Buffers)
{
    internal const int MaxDescriptors = 4;

    // In memory: the number of descriptors, the bytes written, and the descriptors as the ring has them.
    internal const int Length = 80, CountOffset = 0, WrittenOffset = 4, DescriptorsOffset = 16;

    /// <summary>A list of requests as guest memory.</summary>
    internal static byte[] Encode(IReadOnlyList<GuestRequest> requests, GuestRing ring)
    {
        byte[] bytes = new byte[Length * requests.Count];
        for (int i = 0; i < requests.Count; i++)
            requests[i].Encode(bytes.AsSpan(Length * i, Length), ring);
        return bytes;
    }

    private void Encode(Span<byte> to, GuestRing ring)
    {
        Assert.InRange(Buffers.Length, 1, MaxDescriptors);
        BinaryPrimitives.WriteInt32LittleEndian(to[CountOffset..], Buffers.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(to[WrittenOffset..], Written);
        for (int i = 0; i < Buffers.Length; i++)
        {
            Span<byte> descriptor = to[(DescriptorsOffset + (16 * i))..];
            bool last = i == Buffers.Length - 1;
            ushort flags = (ushort)((last ? 0 : VRING_DESC_F_NEXT) | (Buffers[i].Writable ? VRING_DESC_F_WRITE : 0));
            if (ring is { Packed: true, Indirect: true })
                flags &= VRING_DESC_F_WRITE; // the table's length says where it ends
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor, Buffers[i].Address);
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], Buffers[i].Length);
            BinaryPrimitives.WriteUInt16LittleEndian(descriptor[(ring.Packed ? 14 : 12)..], flags);
            if (!ring.Packed && !last)
                BinaryPrimitives.WriteUInt16LittleEndian(descriptor[14..], (ushort)(i + 1));
        }
    }
}
