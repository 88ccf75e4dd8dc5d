using KvmSharp.Backends.Block;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What a command that moves sectors asks for.</summary>
/// <param name="Extended">48-bit address and 16-bit count.</param>
/// <param name="Protocol">How the data moves.</param>
/// <param name="Fua">On stable storage when it completes.</param>
internal readonly record struct TransferCommand(BlockOperation Operation, bool Extended, TransferProtocol Protocol, bool Fua = false)
{
    /// <summary>False: not a command that moves sectors.</summary>
    public static bool TryDecode(AtaCommand command, out TransferCommand transfer)
    {
        transfer = command switch
        {
            AtaCommand.ReadSectors or AtaCommand.ReadSectorsNoRetry => new(BlockOperation.Read, false, TransferProtocol.Sectors),
            AtaCommand.ReadSectorsExt => new(BlockOperation.Read, true, TransferProtocol.Sectors),
            AtaCommand.ReadMultiple => new(BlockOperation.Read, false, TransferProtocol.Multiple),
            AtaCommand.ReadMultipleExt => new(BlockOperation.Read, true, TransferProtocol.Multiple),
            AtaCommand.ReadDma or AtaCommand.ReadDmaNoRetry => new(BlockOperation.Read, false, TransferProtocol.Dma),
            AtaCommand.ReadDmaExt => new(BlockOperation.Read, true, TransferProtocol.Dma),
            AtaCommand.ReadVerifySectors or AtaCommand.ReadVerifySectorsNoRetry => new(BlockOperation.Read, false, TransferProtocol.Verify),
            AtaCommand.ReadVerifySectorsExt => new(BlockOperation.Read, true, TransferProtocol.Verify),
            AtaCommand.WriteSectors or AtaCommand.WriteSectorsNoRetry => new(BlockOperation.Write, false, TransferProtocol.Sectors),
            AtaCommand.WriteSectorsExt => new(BlockOperation.Write, true, TransferProtocol.Sectors),
            AtaCommand.WriteMultiple => new(BlockOperation.Write, false, TransferProtocol.Multiple),
            AtaCommand.WriteMultipleExt => new(BlockOperation.Write, true, TransferProtocol.Multiple),
            AtaCommand.WriteMultipleFuaExt => new(BlockOperation.Write, true, TransferProtocol.Multiple, Fua: true),
            AtaCommand.WriteDma or AtaCommand.WriteDmaNoRetry => new(BlockOperation.Write, false, TransferProtocol.Dma),
            AtaCommand.WriteDmaExt => new(BlockOperation.Write, true, TransferProtocol.Dma),
            AtaCommand.WriteDmaFuaExt => new(BlockOperation.Write, true, TransferProtocol.Dma, Fua: true),
            _ => default,
        };
        return transfer.Protocol != TransferProtocol.None;
    }
}
