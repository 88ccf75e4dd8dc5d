using KvmSharp.Backends.Block;

namespace KvmSharp.Machine;

/// <summary>A disk's back end for the lifetime of one board: disposing it leaves the back end open for the next.</summary>
internal sealed class BorrowedBlockBackend(IBlockBackend backend) : IBlockBackend
{
    public ulong CapacityBytes => backend.CapacityBytes;

    public BlockLimits Limits => backend.Limits;

    public bool RefreshCapacity() => backend.RefreshCapacity();

    public IBlockIo OpenIo(int depth, IBlockCompletion sink) => backend.OpenIo(depth, sink);

    public void Dispose()
    {
    }
}
