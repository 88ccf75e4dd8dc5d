namespace KvmSharp.Backends.Block;

/// <summary>How requests reach the host: QEMU's <c>aio=</c>.</summary>
public enum BlockEngine
{
    /// <summary>io_uring where the host has it, else threads.</summary>
    Auto,
    IoUring,

    /// <summary>Threads of our own that call preadv2 and pwritev2.</summary>
    Threads,
}
