using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvmSharp.Machine.Acpi;

/// <summary>One table being written: the common header (ACPI 6.5 §5.2.6) and little-endian fields behind it.</summary>
internal sealed class AcpiTable
{
    internal const int HeaderLength = 36;
    private const int ChecksumOffset = 9;

    private readonly List<byte> _bytes = [];

    internal AcpiTable(ReadOnlySpan<byte> signature, byte revision)
    {
        Add(signature).Add32(0).Add8(revision).Add8(0).Add("KVMSHP"u8).Add("KVMSHARP"u8).Add32(1).Add("KVMS"u8).Add32(1);
    }

    internal int Length => _bytes.Count;

    internal AcpiTable Add(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    internal AcpiTable Add8(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    internal AcpiTable Add16(ushort value) => Add8((byte)value).Add8((byte)(value >> 8));

    internal AcpiTable Add32(uint value) => Add16((ushort)value).Add16((ushort)(value >> 16));

    internal AcpiTable Add64(ulong value) => Add32((uint)value).Add32((uint)(value >> 32));

    /// <summary>A Generic Address Structure in I/O space (§5.2.3.2); all zeroes for port 0, "not there".</summary>
    internal AcpiTable AddPort(ushort port, byte bits, byte accessSize) => port == 0
        ? Add64(0).Add32(0)
        : Add8(1).Add8(bits).Add8(0).Add8(accessSize).Add64(port);

    /// <summary>Fills in length and checksum.</summary>
    internal byte[] Finish()
    {
        Span<byte> bytes = CollectionsMarshal.AsSpan(_bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], (uint)bytes.Length);
        bytes[ChecksumOffset] = 0;
        bytes[ChecksumOffset] = Checksum(bytes);
        return bytes.ToArray();
    }

    /// <summary>What makes the bytes sum to 0.</summary>
    internal static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
            sum += b;
        return (byte)-sum;
    }
}
