namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>
/// The command block registers of a drive (ATA-7 vol. 1 §7). Features, sector count and LBA are two bytes deep: a write moves the old value
/// behind the new one, which is how 48-bit commands get their upper halves. The newest byte is the low half.
/// </summary>
internal struct TaskFile
{
    /// <summary>The device register's bit that selects LBA addressing, in commands with 28-bit addresses.</summary>
    public const byte DeviceLba = 1 << 6;

    /// <summary>The device register's bit that selects drive 1.</summary>
    public const byte DeviceSelect = 1 << 4;

    /// <summary>Bits that are obsolete and read as ones.</summary>
    public const byte DeviceObsolete = 0xA0;

    public ushort Features;
    public ushort Count;
    public ushort LbaLow;
    public ushort LbaMid;
    public ushort LbaHigh;
    public byte Device;

    /// <summary>The registers after a reset: an ATA drive's signature (§9.12).</summary>
    public static TaskFile Signature => new() { Count = 1, LbaLow = 1, Device = DeviceObsolete };

    public readonly bool UsesLba => (Device & DeviceLba) != 0;

    /// <summary>0 to 2^28-1.</summary>
    public readonly ulong Lba28 => (ulong)(Device & 0xF) << 24 | (ulong)(byte)LbaHigh << 16 | (ulong)(byte)LbaMid << 8 | (byte)LbaLow;

    /// <summary>0 to 2^48-1.</summary>
    public readonly ulong Lba48 =>
        (ulong)(LbaHigh & 0xFF00) << 32 | (ulong)(LbaMid & 0xFF00) << 24 | (ulong)(LbaLow & 0xFF00) << 16 |
        (ulong)(byte)LbaHigh << 16 | (ulong)(byte)LbaMid << 8 | (byte)LbaLow;

    /// <summary>Cylinder, head and sector number, where the LBA bit is clear.</summary>
    public readonly (uint Cylinder, uint Head, uint Sector) Chs =>
        ((uint)(LbaHigh & 0xFF) << 8 | (byte)LbaMid, (uint)Device & 0xF, (byte)LbaLow);

    /// <summary>Sectors of a command with an 8-bit count, 1 to 256.</summary>
    public readonly uint Count8 => (byte)Count == 0 ? 256u : (byte)Count;

    /// <summary>Sectors of a 48-bit command, 1 to 65536.</summary>
    public readonly uint Count16 => Count == 0 ? 65536u : Count;

    /// <summary>A guest write of one of the registers that are two bytes deep.</summary>
    public static void Push(ref ushort register, byte value) => register = (ushort)(register << 8 | value);

    /// <summary>A guest read: the newest byte, or the one behind it.</summary>
    public static byte Peek(ushort register, bool previous) => (byte)(previous ? register >> 8 : register);

    /// <summary>Where a 48-bit command stands, for the guest to read.</summary>
    public void SetLba48(ulong lba)
    {
        LbaLow = (ushort)((lba >> 16 & 0xFF00) | (lba & 0xFF));
        LbaMid = (ushort)((lba >> 24 & 0xFF00) | (lba >> 8 & 0xFF));
        LbaHigh = (ushort)((lba >> 32 & 0xFF00) | (lba >> 16 & 0xFF));
    }

    /// <summary>Where a 28-bit command stands, for the guest to read.</summary>
    public void SetLba28(ulong lba)
    {
        LbaLow = (byte)lba;
        LbaMid = (byte)(lba >> 8);
        LbaHigh = (byte)(lba >> 16);
        Device = (byte)((Device & 0xF0) | (byte)(lba >> 24 & 0xF));
    }
}
