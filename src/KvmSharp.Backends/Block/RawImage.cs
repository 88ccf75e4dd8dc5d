using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.IoUring;
using KvmSharp.Core.Tracing;
using static KvmSharp.Abi.LibcConstants;

namespace KvmSharp.Backends.Block;

/// <summary>A raw disk image: a regular file or a block device, byte for byte. Thread-safe.</summary>
public sealed class RawImage : IBlockBackend
{
    private readonly RawFile _file;
    private readonly RawImageOptions _options;

    private RawImage(RawFile file, RawImageOptions options, BlockEngine engine)
    {
        _file = file;
        _options = options;
        Engine = engine;
        RawFileTraits traits = file.Traits;
        Limits = new BlockLimits
        {
            LogicalBlockSize = traits.LogicalBlockSize,
            PhysicalBlockSize = Math.Max(traits.PhysicalBlockSize, traits.LogicalBlockSize),
            ReadOnly = traits.ReadOnly,
            WriteCache = !traits.EveryWriteStable,
            SupportsDiscard = !traits.ReadOnly && traits.Discard,
            SupportsWriteZeroes = !traits.ReadOnly,
            DiscardAlignment = Math.Max(traits.PhysicalBlockSize, traits.LogicalBlockSize),
        };
    }

    public ulong CapacityBytes => _file.CapacityBytes;

    public BlockLimits Limits { get; }

    /// <summary>The engine that <see cref="OpenIo"/> gives out; never <see cref="BlockEngine.Auto"/>.</summary>
    public BlockEngine Engine { get; }

    /// <summary>Opens and locks an image. Throws <see cref="BackendException"/> with one line for the user; nothing stays open or locked then.</summary>
    public static RawImage Open(RawImageOptions options)
    {
        FileDescriptor file = RawImageOpener.OpenFile(options, direct: IsDirect(options.Cache));
        FileDescriptor? buffered = null;
        try
        {
            RawFileTraits traits = RawImageOpener.Inspect(file, options, out ulong size);
            if (options.Lock)
                ImageLock.Acquire(file, options.Path, exclusive: !traits.ReadOnly);
            if (traits.Direct)
                buffered = RawImageOpener.OpenFile(options, direct: false);
            return new RawImage(new RawFile(file, buffered, traits, size) { TraceName = TraceName.Of(Path.GetFileName(options.Path)) }, options, ChooseEngine(options, traits));
        }
        catch
        {
            buffered?.Dispose();
            file.Dispose();
            throw;
        }
    }

    public bool RefreshCapacity() => _file.RefreshCapacity();

    public IBlockIo OpenIo(int depth, IBlockCompletion sink)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(depth, 32768);
        return Engine == BlockEngine.IoUring
            ? new IoUringBlockIo(_file, depth, sink, _options.RegisteredMemory)
            : new SystemCallBlockIo(_file, depth, sink, Math.Max(1, _options.MaxThreads), inline: Engine == BlockEngine.Inline);
    }

    /// <summary>Closes the image and drops its lock. Every engine is disposed before.</summary>
    public void Dispose() => _file.Dispose();

    internal static bool IsDirect(BlockCacheMode mode) => mode is BlockCacheMode.None or BlockCacheMode.Directsync;

    private static BlockEngine ChooseEngine(RawImageOptions options, RawFileTraits traits)
    {
        if (options.Engine is BlockEngine.Threads or BlockEngine.Inline)
            return options.Engine;
        if (options.Engine == BlockEngine.Auto && traits.InMemory)
            return BlockEngine.Inline;
        if (IoUringRing.IsAvailable(out string reason))
            return BlockEngine.IoUring;
        return options.Engine == BlockEngine.Auto
            ? BlockEngine.Threads
            : throw new BackendException($"io_uring is not available here ({reason}): use aio=threads for disk image {options.Path}");
    }
}
