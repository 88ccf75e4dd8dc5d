namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What a drive waits for.</summary>
internal enum IdeDrivePhase : byte
{
    /// <summary>A command.</summary>
    Idle,

    /// <summary>The guest, to read the data port.</summary>
    DataIn,

    /// <summary>The guest, to write the data port.</summary>
    DataOut,

    /// <summary>The bus master.</summary>
    DmaRequest,

    /// <summary>The disk: a request is under way.</summary>
    Disk,
}
