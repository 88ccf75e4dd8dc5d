namespace KvmSharp.Core.Memory;

/// <summary>Copies between flat buffers and the segments, wherever whoever made them has cut.</summary>
public static unsafe class IoVecCopy
{
    /// <summary>Copies out of the segments, from <paramref name="offset"/> bytes into them.</summary>
    /// <returns>Bytes copied; less than asked for if the segments end first.</returns>
    public static int CopyTo(ReadOnlySpan<IoVec> segments, ulong offset, Span<byte> into)
    {
        int done = 0;
        foreach (ref readonly IoVec segment in segments)
        {
            if (done == into.Length)
                break;
            if (offset >= segment.Length)
            {
                offset -= segment.Length;
                continue;
            }

            int count = (int)Math.Min(segment.Length - offset, (ulong)(into.Length - done));
            // SAFETY: offset + count is at most the segment's length.
            new ReadOnlySpan<byte>(segment.Base + offset, count).CopyTo(into[done..]);
            done += count;
            offset = 0;
        }

        return done;
    }

    /// <summary>Copies into the segments, from <paramref name="offset"/> bytes into them.</summary>
    /// <returns>Bytes copied; less than given if the segments end first.</returns>
    public static int CopyFrom(ReadOnlySpan<IoVec> segments, ulong offset, ReadOnlySpan<byte> from)
    {
        int done = 0;
        foreach (ref readonly IoVec segment in segments)
        {
            if (done == from.Length)
                break;
            if (offset >= segment.Length)
            {
                offset -= segment.Length;
                continue;
            }

            int count = (int)Math.Min(segment.Length - offset, (ulong)(from.Length - done));
            // SAFETY: offset + count is at most the segment's length.
            from.Slice(done, count).CopyTo(new Span<byte>(segment.Base + offset, count));
            done += count;
            offset = 0;
        }

        return done;
    }
}
