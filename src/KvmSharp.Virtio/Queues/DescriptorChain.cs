using KvmSharp.Core.Memory;

namespace KvmSharp.Virtio.Queues;

/// <summary>
/// A chain of buffers, checked whole: every range lies in guest memory, the total is below 4 GiB, empty buffers are left out. The
/// segments are valid until the next pop from the same queue; a request that lives longer copies them.
/// </summary>
public readonly ref struct DescriptorChain
{
    internal DescriptorChain(VirtQueueToken token, ReadOnlySpan<IoVec> readable, ReadOnlySpan<IoVec> writable, uint readableBytes, uint writableBytes)
    {
        Token = token;
        Readable = readable;
        Writable = writable;
        ReadableBytes = readableBytes;
        WritableBytes = writableBytes;
    }

    /// <summary>What to push when the request is done.</summary>
    public VirtQueueToken Token { get; }

    /// <summary>What the driver sends. The guest may change the bytes at any moment: copy, then validate the copy.</summary>
    public ReadOnlySpan<IoVec> Readable { get; }

    /// <summary>What the driver wants filled.</summary>
    public ReadOnlySpan<IoVec> Writable { get; }

    /// <summary>Sum of <see cref="Readable"/>.</summary>
    public uint ReadableBytes { get; }

    /// <summary>Sum of <see cref="Writable"/>; <see cref="ReadableBytes"/> plus this fits in 32 bits.</summary>
    public uint WritableBytes { get; }
}
