namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What a drive tells its channel. All members but <see cref="AccessLock"/> are called under it.</summary>
internal interface IIdeBus
{
    /// <summary>Guards all of the channel and its drives, on vCPU threads and loops alike.</summary>
    Lock AccessLock { get; }

    /// <summary>The drive's interrupt request may have changed.</summary>
    void OnInterruptChanged();

    /// <summary>The drive waits for the bus master.</summary>
    void OnDmaRequested();

    /// <summary>The bus master's part of a transfer is over. Precedes the drive's interrupt.</summary>
    void OnDmaEnded(in PrdTransfer table);
}
