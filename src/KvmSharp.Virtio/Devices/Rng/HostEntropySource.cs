using KvmSharp.Abi;

namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>The host kernel's generator, getrandom(2).</summary>
public sealed unsafe class HostEntropySource : IEntropySource
{
    /// <summary>One call never gives more, and calls up to 256 bytes are never interrupted.</summary>
    private const int Chunk = 256;

    public int Fill(Span<byte> into)
    {
        int done = 0;
        fixed (byte* at = into)
        {
            while (done < into.Length)
            {
                nint count = Libc.getrandom(at + done, (nuint)Math.Min(Chunk, into.Length - done), 0);
                // Once the pool is initialised, which it was long before this, only EINTR is possible.
                if (count > 0)
                    done += (int)count;
            }
        }

        return done;
    }
}
