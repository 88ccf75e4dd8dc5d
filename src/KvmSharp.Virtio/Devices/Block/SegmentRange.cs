using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>Cuts the segments of a chain, wherever the driver has put the borders (any layout).</summary>
internal static unsafe class SegmentRange
{
    /// <summary>
    /// Copies the part of <paramref name="from"/> that begins after <paramref name="skip"/> bytes and is <paramref name="length"/> long.
    /// The caller has checked that it is there, and that <paramref name="into"/> is as long as <paramref name="from"/>. Returns how many segments it is.
    /// </summary>
    public static int Copy(ReadOnlySpan<IoVec> from, ulong skip, ulong length, Span<IoVec> into)
    {
        int count = 0;
        foreach (ref readonly IoVec segment in from)
        {
            if (length == 0)
                break;
            if (skip >= segment.Length)
            {
                skip -= segment.Length;
                continue;
            }

            ulong take = Math.Min(segment.Length - skip, length);
            // SAFETY: skip + take is at most the segment's length.
            into[count++] = new IoVec(segment.Base + skip, (nuint)take);
            length -= take;
            skip = 0;
        }

        return count;
    }

    /// <summary>The last byte of segments that are not empty.</summary>
    public static byte* LastByte(ReadOnlySpan<IoVec> segments)
    {
        ref readonly IoVec last = ref segments[^1];
        // SAFETY: chains leave empty segments out, so Length is at least 1.
        return last.Base + last.Length - 1;
    }
}
