using KvmSharp.Backends.Block;

namespace KvmSharp.Machine;

/// <summary>A disk's back end for the lifetime of one board, within limits that the user chose: disposing it leaves the back end open for the next.</summary>
internal sealed class BorrowedBlockBackend(IBlockBackend backend, BlockLimits limits) : IBlockBackend
{
    public ulong CapacityBytes => backend.CapacityBytes;

    public BlockLimits Limits => limits;

    public bool RefreshCapacity() => backend.RefreshCapacity();

    public IBlockIo OpenIo(int depth, IBlockCompletion sink) => backend.OpenIo(depth, sink);

    public void Dispose()
    {
    }
}
