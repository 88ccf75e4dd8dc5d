namespace KvmSharp.Emulated.Net.E1000;

/// <summary>Register offsets in bytes and their bits, under the names of the 8254x software developer's manual, §13.</summary>
internal static class E1000Registers
{
    /// <summary>Bytes of registers in the memory BAR (§4.1).</summary>
    public const uint Length = 0x2_0000;

    public const uint CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, MDIC = 0x0020, FCAL = 0x0028, FCAH = 0x002C,
        FCT = 0x0030, VET = 0x0038, ICR = 0x00C0, ITR = 0x00C4, ICS = 0x00C8, IMS = 0x00D0, IMC = 0x00D8, RCTL = 0x0100, FCTTV = 0x0170,
        TXCW = 0x0178, TCTL = 0x0400, TIPG = 0x0410, AIFS = 0x0458, LEDCTL = 0x0E00, PBA = 0x1000, FCRTL = 0x2160, FCRTH = 0x2168,
        RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RXDCTL = 0x2828, RADV = 0x282C, RSRPD = 0x2C00,
        TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382C, TSPMT = 0x3830,
        RXCSUM = 0x5000, MTA = 0x5200, RAL0 = 0x5400, RAH0 = 0x5404, VFTA = 0x5600, WUC = 0x5800, WUFC = 0x5808, WUS = 0x5810, MANC = 0x5820;

    /// <summary>The statistics registers, all cleared by reading (§13.7).</summary>
    public const uint StatisticsStart = 0x4000, StatisticsEnd = 0x4100;

    public const int ReceiveAddressCount = 16, TableLength = 128;

    public const uint CTRL_FD = 1 << 0, CTRL_SPEED_1000 = 2 << 8, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30, CTRL_PHY_RST = 1u << 31;

    public const uint STATUS_FD = 1 << 0, STATUS_LU = 1 << 1, STATUS_SPEED_1000 = 2 << 6, STATUS_ASDV_1000 = 2 << 8;

    public const uint ICR_TXDW = 1 << 0, ICR_TXQE = 1 << 1, ICR_LSC = 1 << 2, ICR_RXDMT0 = 1 << 4, ICR_RXT0 = 1 << 7, ICR_MDAC = 1 << 9;

    public const uint RCTL_EN = 1 << 1, RCTL_UPE = 1 << 3, RCTL_MPE = 1 << 4, RCTL_LPE = 1 << 5, RCTL_LBM = 3 << 6, RCTL_BAM = 1 << 15,
        RCTL_BSIZE = 3 << 16, RCTL_VFE = 1 << 18, RCTL_CFIEN = 1 << 19, RCTL_CFI = 1 << 20, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26;

    public const int RCTL_RDMTS_SHIFT = 8, RCTL_MO_SHIFT = 12, RCTL_BSIZE_SHIFT = 16;

    public const uint TCTL_EN = 1 << 1;

    public const uint RXCSUM_IPOFL = 1 << 8, RXCSUM_TUOFL = 1 << 9;

    public const uint RAH_AS = 3 << 16, RAH_AV = 1u << 31;
}
