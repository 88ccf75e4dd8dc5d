using System.Buffers.Binary;

namespace KvmSharp.Machine.Acpi;

/// <summary>The primitive encodings of AML (ACPI 6.5 §20.2).</summary>
internal static class AmlEncoding
{
    internal const byte MethodOp = 0x14, NameOp = 0x08, ScopeOp = 0x10, BufferOp = 0x11, PackageOp = 0x12, ExtPrefix = 0x5B,
        RegionOp = 0x80, FieldOp = 0x81, DeviceOp = 0x82, LocalOp = 0x60, ArgOp = 0x68, StoreOp = 0x70, AddOp = 0x72, SubtractOp = 0x74,
        AndOp = 0x7B, OrOp = 0x7D, NotifyOp = 0x86, CreateDWordFieldOp = 0x8A, LandOp = 0x90, LorOp = 0x91, LnotOp = 0x92, LequalOp = 0x93,
        LlessOp = 0x95, IfOp = 0xA0, ElseOp = 0xA1, ReturnOp = 0xA4, StringPrefix = 0x0D, OnesOp = 0xFF;

    private const int MaxPackage = 0xFFF_FFFF;

    /// <summary>PkgLength for <paramref name="payload"/> bytes; it counts itself (§20.2.4).</summary>
    internal static byte[] PackageLength(int payload)
    {
        int bytes = payload + 1 <= 0x3F ? 1 : payload + 2 <= 0xFFF ? 2 : payload + 3 <= 0xF_FFFF ? 3 : 4;
        int length = payload + bytes;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, MaxPackage, nameof(payload));
        if (bytes == 1)
            return [(byte)length];
        byte[] encoded = new byte[bytes];
        encoded[0] = (byte)(((bytes - 1) << 6) | (length & 0xF));
        for (int i = 1; i < bytes; i++)
            encoded[i] = (byte)(length >> (4 + (8 * (i - 1))));
        return encoded;
    }

    /// <summary>A NameString such as <c>_HID</c>, <c>\_SB.PCI0</c> or <c>^FOO</c>; short segments are padded (§20.2.2).</summary>
    internal static byte[] NameString(string name)
    {
        List<byte> encoded = [];
        int at = 0;
        for (; at < name.Length && name[at] is '\\' or '^'; at++)
            encoded.Add((byte)name[at]);
        if (at == name.Length)
        {
            encoded.Add(0);
            return [.. encoded];
        }

        string[] segments = name[at..].Split('.');
        if (segments.Length == 2)
            encoded.Add(0x2E);
        else if (segments.Length > 2)
            encoded.AddRange([0x2F, checked((byte)segments.Length)]);
        foreach (string segment in segments)
            AddSegment(encoded, segment);
        return [.. encoded];
    }

    /// <summary>The shortest integer encoding (§20.2.3).</summary>
    internal static byte[] Integer(ulong value)
    {
        switch (value)
        {
            case 0 or 1:
                return [(byte)value];
            case ulong.MaxValue:
                return [OnesOp];
            case <= byte.MaxValue:
                return [0x0A, (byte)value];
            case <= ushort.MaxValue:
                return [0x0B, (byte)value, (byte)(value >> 8)];
            case <= uint.MaxValue:
                byte[] dword = [0x0C, 0, 0, 0, 0];
                BinaryPrimitives.WriteUInt32LittleEndian(dword.AsSpan(1), (uint)value);
                return dword;
            default:
                byte[] qword = [0x0E, 0, 0, 0, 0, 0, 0, 0, 0];
                BinaryPrimitives.WriteUInt64LittleEndian(qword.AsSpan(1), value);
                return qword;
        }
    }

    /// <summary>A compressed EISA id such as <c>PNP0A08</c> (§19.3.4).</summary>
    internal static uint EisaId(string id)
    {
        if (id.Length != 7)
            throw new ArgumentException($"'{id}' is not an EISA id", nameof(id));
        uint letters = 0;
        for (int i = 0; i < 3; i++)
        {
            uint letter = (uint)(id[i] - 'A' + 1);
            letters = letter is >= 1 and <= 26 ? (letters << 5) | letter : throw new ArgumentException($"'{id}' is not an EISA id", nameof(id));
        }

        uint product = uint.Parse(id.AsSpan(3), System.Globalization.NumberStyles.AllowHexSpecifier, null);
        return BinaryPrimitives.ReverseEndianness((letters << 16) | product);
    }

    private static void AddSegment(List<byte> encoded, string segment)
    {
        if (segment.Length is < 1 or > 4 || char.IsAsciiDigit(segment[0]))
            throw new ArgumentException($"'{segment}' is not an ACPI name", nameof(segment));
        foreach (char c in segment.PadRight(4, '_'))
            encoded.Add(char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_' ? (byte)c : throw new ArgumentException($"'{segment}' is not an ACPI name", nameof(segment)));
    }
}
