namespace KvmSharp.Devices.Chipset;

/// <summary>What the CMOS tells the guest about the machine.</summary>
public sealed record RtcOptions
{
    /// <summary>Bytes of RAM below 4 GiB.</summary>
    public ulong LowMemoryBytes { get; init; }

    /// <summary>Bytes of RAM from 4 GiB up.</summary>
    public ulong HighMemoryBytes { get; init; }
}
