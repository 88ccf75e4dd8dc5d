namespace KvmSharp.Backends.Block;

/// <summary>How requests reach the host: QEMU's <c>aio=</c>.</summary>
public enum BlockEngine
{
    /// <summary>Inline where the image lies in memory, else io_uring where the host has it, else threads.</summary>
    Auto,
    IoUring,

    /// <summary>Threads of our own that call preadv2 and pwritev2.</summary>
    Threads,

    /// <summary>As threads, but the queue's own thread makes the calls for all but long operations. Only for images on which they do not wait for a device.</summary>
    Inline,
}
