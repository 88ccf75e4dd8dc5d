namespace KvmSharp.Backends.Block;

/// <summary>The control side of a disk: what it is. Thread-safe. I/O goes through engines, one per queue.</summary>
public interface IBlockBackend : IDisposable
{
    /// <summary>Current size; a multiple of 512.</summary>
    ulong CapacityBytes { get; }

    BlockLimits Limits { get; }

    /// <summary>Asks the host for the size again. True if it changed. Never throws; cheap enough for once a second.</summary>
    bool RefreshCapacity();

    /// <summary>
    /// A new engine with room for <paramref name="depth"/> requests in flight. Disposed before the back end.
    /// Throws <see cref="BackendException"/> or <see cref="Core.LinuxException"/>.
    /// </summary>
    IBlockIo OpenIo(int depth, IBlockCompletion sink);
}
