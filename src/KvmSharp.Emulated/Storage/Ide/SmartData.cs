namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What SMART says of a drive that never fails: no attributes, no thresholds (ATA-7 vol. 1 §6.54).</summary>
internal static class SmartData
{
    /// <summary>Subcommands, in the features register.</summary>
    public const byte ReadData = 0xD0, ReadThresholds = 0xD1, Autosave = 0xD2, SaveValues = 0xD3, OfflineImmediate = 0xD4,
        Enable = 0xD8, Disable = 0xD9, ReturnStatus = 0xDA;

    /// <summary>What every SMART command has in LBA mid and high, and what RETURN STATUS leaves there for a good drive.</summary>
    public const byte KeyMid = 0x4F, KeyHigh = 0xC2;

    private const int CapabilityOffset = 368;

    /// <param name="into">512 bytes.</param>
    /// <param name="thresholds">The thresholds, not the data.</param>
    public static void Write(Span<byte> into, bool thresholds)
    {
        into.Clear();
        into[0] = 0x10; // the structure's revision
        if (!thresholds)
            into[CapabilityOffset] = 1 << 0 | 1 << 1; // data is saved before low power and by autosave
        into[511] = Checksum.Of(into);
    }
}
