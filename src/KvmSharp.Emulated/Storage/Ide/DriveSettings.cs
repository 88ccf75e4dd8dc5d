namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>What a guest has set in a drive.</summary>
internal struct DriveSettings
{
    /// <summary>Default geometry of every drive above 8 GiB (ATA-7 vol. 1 annex B), and ours.</summary>
    public const int DefaultHeads = 16, DefaultSectorsPerTrack = 63, MaxCylinders = 16383;

    /// <summary>Sectors per block of READ and WRITE MULTIPLE, a power of two; 0: those commands are off.</summary>
    public byte Multiple;

    public bool WriteCache;
    public bool ReadLookAhead;
    public bool Smart;

    /// <summary>Multiword DMA mode, or -1.</summary>
    public sbyte MultiwordDma;

    /// <summary>Ultra DMA mode, or -1.</summary>
    public sbyte UltraDma;

    public byte Heads;
    public byte SectorsPerTrack;

    public static DriveSettings PowerOn(bool writeCache) => new()
    {
        Multiple = IdeDrive.MaxMultiple, WriteCache = writeCache, ReadLookAhead = true, Smart = true, MultiwordDma = 2, UltraDma = -1,
        Heads = DefaultHeads, SectorsPerTrack = DefaultSectorsPerTrack,
    };

    /// <summary>Cylinders of a drive of so many sectors.</summary>
    public readonly uint Cylinders(ulong sectors) => (uint)Math.Min(sectors / ((uint)Heads * SectorsPerTrack), MaxCylinders);

    /// <summary>The address of a sector by cylinder, head and number (from 1); false: there is none of that number.</summary>
    public readonly bool TryTranslate((uint Cylinder, uint Head, uint Sector) place, out ulong lba)
    {
        lba = ((ulong)place.Cylinder * Heads + place.Head) * SectorsPerTrack + place.Sector - 1;
        return place.Sector >= 1 && place.Sector <= SectorsPerTrack && place.Head < Heads;
    }
}
