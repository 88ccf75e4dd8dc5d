namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>How the data of a command moves.</summary>
internal enum TransferProtocol : byte
{
    None,

    /// <summary>Through the data port, an interrupt for each sector.</summary>
    Sectors,

    /// <summary>Through the data port, an interrupt for each block of the size that SET MULTIPLE MODE has set.</summary>
    Multiple,

    /// <summary>By the bus master.</summary>
    Dma,

    /// <summary>Nowhere: the sectors are only looked at.</summary>
    Verify,
}
