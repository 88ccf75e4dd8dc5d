using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// The registers that are plain storage: vCPU threads write them under the device's lock, the loop reads them whenever it likes and
/// writes the two heads. Offsets are in bytes, dword aligned and below <see cref="StorageLength"/>.
/// </summary>
internal sealed class RegisterFile
{
    /// <summary>Nothing that is stored lies beyond.</summary>
    public const uint StorageLength = 0x6000;

    private static readonly uint[] s_writable = Masks();

    private readonly uint[] _values = new uint[StorageLength / 4];

    public uint this[uint offset]
    {
        get => Volatile.Read(ref _values[offset / 4]);
        set => Volatile.Write(ref _values[offset / 4], value);
    }

    /// <summary>A guest's write: the bits that exist take it.</summary>
    public void Write(uint offset, uint value) => this[offset] = value & s_writable[offset / 4];

    /// <summary>What every register holds after a reset, the receive address aside (§13.2 and the registers' own tables).</summary>
    public void Reset()
    {
        // The multicast and VLAN tables are undefined after a reset; zero lets nothing pass that the driver did not ask for.
        for (uint offset = 0; offset < StorageLength; offset += 4)
            this[offset] = 0;
        this[CTRL] = CTRL_FD | CTRL_SPEED_1000;
        this[PBA] = 0x0010_0030;
        this[LEDCTL] = 0x0706_8302;
        this[RXDCTL] = 0x0101_0000;
    }

    private static uint[] Masks()
    {
        uint[] masks = new uint[StorageLength / 4];
        foreach ((uint offset, uint mask) in (ReadOnlySpan<(uint, uint)>)
        [
            (CTRL, 0x7BFC_1FFF), (CTRL_EXT, 0xFFFF_FFFF), (FCAL, 0xFFFF_FFFF), (FCAH, 0xFFFF), (FCT, 0xFFFF), (VET, 0xFFFF), (ITR, 0xFFFF),
            (RCTL, 0x06DF_B3FE), (FCTTV, 0xFFFF), (TXCW, 0xC000_FFFF), (TCTL, 0x03FF_FFFA), (TIPG, 0x3FFF_FFFF), (AIFS, 0xFFFF), (LEDCTL, 0xFFFF_FFFF),
            (PBA, 0xFFFF), (FCRTL, 0x8000_FFF8), (FCRTH, 0xFFF8), (RDBAL, 0xFFFF_FFF0), (RDBAH, 0xFFFF_FFFF), (RDLEN, 0x000F_FF80), (RDH, 0xFFFF),
            (RDT, 0xFFFF), (RDTR, 0xFFFF), (RXDCTL, 0x013F_3F3F), (RADV, 0xFFFF), (RSRPD, 0xFFF), (TDBAL, 0xFFFF_FFF0), (TDBAH, 0xFFFF_FFFF),
            (TDLEN, 0x000F_FF80), (TDH, 0xFFFF), (TDT, 0xFFFF), (TIDV, 0xFFFF), (TXDCTL, 0xFF3F_3F3F), (TADV, 0xFFFF), (TSPMT, 0xFFFF_FFFF),
            (RXCSUM, 0x7FF), (WUC, 0xF), (WUFC, 0x000F_00FF), (MANC, 0xFFFF_FFFF),
        ])
        {
            masks[offset / 4] = mask;
        }

        masks.AsSpan((int)MTA / 4, TableLength).Fill(uint.MaxValue);
        masks.AsSpan((int)VFTA / 4, TableLength).Fill(uint.MaxValue);
        for (uint i = 0; i < ReceiveAddressCount; i++)
        {
            masks[(RAL0 / 4) + (2 * i)] = uint.MaxValue;
            masks[(RAH0 / 4) + (2 * i)] = 0x8003_FFFF;
        }

        return masks;
    }
}
