using System.Runtime.CompilerServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Memory;

namespace KvmSharp.Serve.Net;

/// <summary>An Ethernet frame in the driver's buffers, behind a <c>virtio_net_hdr_v1</c> (virtio 1.2 §5.1.6).</summary>
internal static unsafe class NetFrame
{
    /// <summary>Destination, source and type.</summary>
    public const uint MinBytes = 14;

    /// <summary>An IP packet of the largest size, Ethernet header, VLAN tag.</summary>
    public const uint MaxBytes = 65535 + 18;

    /// <summary>Destination and source.</summary>
    public const int AddressBytes = 12;

    public static int HeaderBytes => Unsafe.SizeOf<virtio_net_hdr_v1>();

    /// <summary>Copies as many bytes as both have behind the offsets, at most <paramref name="bytes"/>, without a buffer between.</summary>
    public static void Copy(ReadOnlySpan<IoVec> to, uint toOffset, ReadOnlySpan<IoVec> from, uint fromOffset, uint bytes)
    {
        ulong skip = fromOffset;
        foreach (ref readonly IoVec segment in from)
        {
            if (bytes == 0)
                return;
            if (skip >= segment.Length)
            {
                skip -= segment.Length;
                continue;
            }

            int count = (int)Math.Min(segment.Length - skip, bytes);
            // SAFETY: skip + count is at most the segment's length.
            var part = new ReadOnlySpan<byte>(segment.Base + skip, count);
            if (IoVecCopy.CopyFrom(to, toOffset, part) < count)
                return;
            toOffset += (uint)count;
            bytes -= (uint)count;
            skip = 0;
        }
    }
}
