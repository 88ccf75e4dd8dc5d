namespace KvmSharp.Emulated.Net.E1000;

/// <summary>Bits of the second quadword of transmit descriptors (manual §3.3.3 legacy, §3.3.6 context, §3.3.7 data).</summary>
internal readonly record struct TransmitDescriptor(ulong Address, ulong Control)
{
    /// <summary>Descriptor done, in the status of all formats.</summary>
    public const ulong Done = 1ul << 32;

    private const ulong EndOfPacketBit = 1 << 24, InsertChecksumBit = 1 << 26, SegmentBit = 1 << 26, ReportBits = 3 << 27, ExtensionBit = 1 << 29, VlanBit = 1 << 30;

    public bool IsExtended => (Control & ExtensionBit) != 0;

    /// <summary>DTYP 0; the others carry data.</summary>
    public bool IsContext => IsExtended && (Control >> 20 & 0xF) == 0;

    /// <summary>20 bits, of a legacy descriptor 16.</summary>
    public uint Length => (uint)Control & (IsExtended ? 0xF_FFFFu : 0xFFFF);

    public bool EndOfPacket => (Control & EndOfPacketBit) != 0;

    /// <summary>RS or RPS: the driver waits for the status.</summary>
    public bool WantsReport => (Control & ReportBits) != 0;

    public bool InsertsVlanTag => (Control & VlanBit) != 0;

    public ushort VlanTag => (ushort)(Control >> 48);

    /// <summary>TSE of data and context descriptors.</summary>
    public bool Segments => IsExtended && (Control & SegmentBit) != 0;

    /// <summary>POPTS.IXSM of a data descriptor.</summary>
    public bool InsertsIpChecksum => IsExtended && (Control >> 40 & 1) != 0;

    /// <summary>POPTS.TXSM of a data descriptor.</summary>
    public bool InsertsTransportChecksum => IsExtended && (Control >> 40 & 2) != 0;

    /// <summary>IC of a legacy descriptor.</summary>
    public bool InsertsLegacyChecksum => !IsExtended && (Control & InsertChecksumBit) != 0;

    /// <summary>CSS and CSO of a legacy descriptor: a checksum over all from the first to the end.</summary>
    public ChecksumField LegacyChecksum => new((byte)(Control >> 40), (byte)(Control >> 16), 0);
}
