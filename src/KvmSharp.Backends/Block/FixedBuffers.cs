using KvmSharp.Core.IoUring;
using KvmSharp.Core.Memory;

namespace KvmSharp.Backends.Block;

/// <summary>Guest memory as registered buffers of a ring: which index covers a range of host memory.</summary>
internal sealed class FixedBuffers
{
    /// <summary>The kernel takes at most this much per buffer.</summary>
    private const ulong ChunkBytes = 1UL << 30;

    private readonly IoVec[] _chunks;

    private FixedBuffers(IoVec[] chunks) => _chunks = chunks;

    /// <summary>Registers all of guest memory; null if the host refuses (locked-memory limit), which costs speed only.</summary>
    public static unsafe FixedBuffers? TryRegister(IoUringRing ring, GuestMemory? memory)
    {
        if (memory is null)
            return null;
        List<IoVec> chunks = [];
        foreach (ref readonly GuestMemoryRegion region in memory.Regions)
        {
            for (ulong offset = 0; offset < region.SizeBytes; offset += ChunkBytes)
                chunks.Add(new IoVec(region.Pointer + offset, (nuint)Math.Min(ChunkBytes, region.SizeBytes - offset)));
        }

        IoVec[] array = [.. chunks];
        return ring.RegisterBuffers(array) == 0 ? new FixedBuffers(array) : null;
    }

    /// <summary>The buffer that holds the whole range, or -1.</summary>
    public unsafe int Find(in IoVec range)
    {
        for (int i = 0; i < _chunks.Length; i++)
        {
            nuint offset = (nuint)range.Base - (nuint)_chunks[i].Base;
            if (offset < _chunks[i].Length && range.Length <= _chunks[i].Length - offset)
                return i;
        }

        return -1;
    }
}
