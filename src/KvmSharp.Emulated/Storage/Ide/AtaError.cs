namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>The error register (ATA-7 vol. 1 §7.9) and, after a reset or diagnostics, the diagnostic code (§6.18.3).</summary>
[Flags]
internal enum AtaError : byte
{
    None = 0,

    /// <summary>The command or its parameters are not what this drive takes.</summary>
    Aborted = 1 << 2,

    /// <summary>The address is not on the drive.</summary>
    IdNotFound = 1 << 4,
    Uncorrectable = 1 << 6,

    DiagnosticsPassed = 0x01,
}
