namespace KvmSharp.Backends.Block;

/// <summary>How the host caches a disk: QEMU's names and meanings of <c>cache=</c>.</summary>
public enum BlockCacheMode
{
    /// <summary>Host page cache, guest sees a write cache; a flush is fdatasync.</summary>
    Writeback,

    /// <summary>O_DIRECT, guest sees a write cache (the disk's own); a flush is fdatasync.</summary>
    None,

    /// <summary>Host page cache for reads; every write is stable when it completes.</summary>
    Writethrough,

    /// <summary>O_DIRECT and every write is stable when it completes.</summary>
    Directsync,

    /// <summary>As writeback, but flushes do nothing: a host crash may lose everything.</summary>
    Unsafe,
}
