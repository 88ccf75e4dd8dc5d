namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>The status register (ATA-7 vol. 1 §7.15).</summary>
[Flags]
internal enum AtaStatus : byte
{
    None = 0,
    Error = 1 << 0,

    /// <summary>The drive wants data moved.</summary>
    DataRequest = 1 << 3,

    /// <summary>Obsolete; drivers of old look at it after a seek.</summary>
    SeekComplete = 1 << 4,

    /// <summary>The drive itself failed; the error register says nothing.</summary>
    DeviceFault = 1 << 5,
    Ready = 1 << 6,
    Busy = 1 << 7,

    Idle = Ready | SeekComplete,
}
