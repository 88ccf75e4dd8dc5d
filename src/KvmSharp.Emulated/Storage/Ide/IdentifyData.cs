using System.Buffers.Binary;
using System.Numerics;
using KvmSharp.Backends.Block;

namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>The data of IDENTIFY DEVICE (ATA-7 vol. 1 §6.17): 256 words, numbered as there.</summary>
internal static class IdentifyData
{
    private const string Model = "KvmSharp IDE disk";
    private const string Firmware = "1.0";
    private const uint MaxSectors28 = 0x0FFF_FFFF;
    private const ulong MaxSectors48 = 0xFFFF_FFFF_FFFF;
    private const ushort WordIsValid = 1 << 14;

    private const ushort SmartSet = 1 << 0, PowerManagement = 1 << 3, WriteCacheSet = 1 << 5, LookAhead = 1 << 6;
    private const ushort Address48 = 1 << 10, FlushCache = 1 << 12, FlushCacheExt = 1 << 13;
    private const ushort FuaExt = 1 << 6;

    /// <param name="sectors">Of 512 bytes.</param>
    /// <param name="second">Drive 1 of its channel.</param>
    /// <param name="into">512 bytes.</param>
    public static void Write(Span<byte> into, string serial, ulong sectors, BlockLimits limits, in DriveSettings settings, bool second)
    {
        into.Clear();
        var words = new Words(into);
        words.Set(0, 1 << 6); // a fixed ATA device
        words.Set(1, (ushort)Math.Min(sectors / (DriveSettings.DefaultHeads * DriveSettings.DefaultSectorsPerTrack), DriveSettings.MaxCylinders));
        words.Set(3, DriveSettings.DefaultHeads);
        words.Set(6, DriveSettings.DefaultSectorsPerTrack);
        words.SetText(10, 10, serial);
        words.SetText(23, 4, Firmware);
        words.SetText(27, 20, Model);
        words.Set(47, 0x8000 | IdeDrive.MaxMultiple);
        words.Set(49, 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13); // DMA, LBA, IORDY and that it can be disabled, standard timers
        words.Set(50, WordIsValid);
        words.Set(53, 1 << 0 | 1 << 1 | 1 << 2); // words 54-58, 64-70 and 88 are valid
        WriteGeometry(words, sectors, settings);
        words.Set(59, (ushort)(settings.Multiple == 0 ? 0 : 1 << 8 | settings.Multiple));
        words.Set32(60, (uint)Math.Min(sectors, MaxSectors28));
        words.Set(63, (ushort)(0x7 | (settings.MultiwordDma >= 0 ? 1 << (8 + settings.MultiwordDma) : 0)));
        words.Set(64, 1 << 0 | 1 << 1); // PIO modes 3 and 4
        for (int cycle = 65; cycle <= 68; cycle++)
            words.Set(cycle, 120); // nanoseconds
        words.Set(80, 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7); // ATA/ATAPI-4 to -7
        WriteFeatures(words, limits, settings);
        words.Set(88, (ushort)(0x3F | (settings.UltraDma >= 0 ? 1 << (8 + settings.UltraDma) : 0)));
        words.Set(93, (ushort)(WordIsValid | 1 << 13 | (second ? 1 << 8 | 3 << 9 : 1 << 0 | 3 << 1))); // an 80-conductor cable
        words.Set64(100, Math.Min(sectors, MaxSectors48));
        words.Set(106, (ushort)(WordIsValid | (limits.PhysicalBlockSize > IdeDrive.SectorBytes ? 1 << 13 | BitOperations.Log2(limits.PhysicalBlockSize / IdeDrive.SectorBytes) : 0)));
        words.Set(217, 1); // nothing rotates
        into[510] = 0xA5;
        into[511] = Checksum.Of(into);
    }

    private static void WriteGeometry(Words words, ulong sectors, in DriveSettings settings)
    {
        uint cylinders = settings.Cylinders(sectors);
        words.Set(54, (ushort)cylinders);
        words.Set(55, settings.Heads);
        words.Set(56, settings.SectorsPerTrack);
        words.Set32(57, cylinders * settings.Heads * settings.SectorsPerTrack);
    }

    /// <summary>What is supported, then what is enabled.</summary>
    private static void WriteFeatures(Words words, BlockLimits limits, in DriveSettings settings)
    {
        ushort cache = limits.WriteCache ? WriteCacheSet : (ushort)0;
        words.Set(82, (ushort)(SmartSet | PowerManagement | cache | LookAhead));
        words.Set(83, WordIsValid | Address48 | FlushCache | FlushCacheExt);
        words.Set(84, WordIsValid | FuaExt);
        words.Set(85, (ushort)(PowerManagement | (settings.Smart ? SmartSet : 0) | (settings.WriteCache ? cache : 0) | (settings.ReadLookAhead ? LookAhead : 0)));
        words.Set(86, Address48 | FlushCache | FlushCacheExt);
        words.Set(87, WordIsValid | FuaExt);
    }

    private readonly ref struct Words(Span<byte> bytes)
    {
        private readonly Span<byte> _bytes = bytes;

        public void Set(int word, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_bytes[(2 * word)..], value);

        public void Set32(int word, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_bytes[(2 * word)..], value);

        public void Set64(int word, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(_bytes[(2 * word)..], value);

        /// <summary>Padded with spaces; the first character of each word is its upper byte (§6.17.1).</summary>
        public void SetText(int word, int count, string text)
        {
            for (int i = 0; i < 2 * count; i++)
                _bytes[(2 * word) + (i ^ 1)] = i < text.Length ? (byte)text[i] : (byte)' ';
        }
    }
}
