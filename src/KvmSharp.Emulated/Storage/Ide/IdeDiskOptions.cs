using KvmSharp.Backends.Block;
using KvmSharp.Core.Events;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>A disk on an <see cref="IdeController"/>.</summary>
public sealed record IdeDiskOptions
{
    public const int MaxSerialLength = 20;

    /// <summary>Size of a logical block, the only one.</summary>
    public const int BlockBytes = IdeDrive.SectorBytes;

    /// <summary>Where its data is; becomes the controller's. Its logical blocks are of <see cref="BlockBytes"/>.</summary>
    public required IBlockBackend Backend { get; init; }

    /// <summary>Where its I/O is done; must run longer than the controller.</summary>
    public required EventLoop Loop { get; init; }

    /// <summary>At most <see cref="MaxSerialLength"/> printable ASCII characters.</summary>
    public string Serial { get; init; } = "";
}
