using System.Globalization;
using System.Text;

namespace KvmSharp.Backends.Net;

/// <summary>An Ethernet address; the first byte on the wire is the most significant of the 48 bits.</summary>
public readonly record struct MacAddress(ulong Value)
{
    public const int Length = 6;

    /// <summary>True for multicast and broadcast, which no interface may have as its own.</summary>
    public bool IsMulticast => (Value >> 40 & 1) != 0;

    /// <summary>
    /// The address of a VM's network device when the user gives none: 52 and 40 bits that depend on the VM's name and the device's
    /// index only, so that a VM keeps its addresses (and leases) and two VMs differ. Locally administered, unicast.
    /// </summary>
    public static MacAddress Derive(string vmName, int deviceIndex)
    {
        // FNV-1a and the finalizer of MurmurHash3: nobody attacks it, and the library's digests load OpenSSL, which ends the process where it cannot.
        ulong hash = 0xCBF2_9CE4_8422_2325;
        foreach (byte part in Encoding.UTF8.GetBytes($"{vmName}\n{deviceIndex}"))
            hash = (hash ^ part) * 0x100_0000_01B3;
        hash = (hash ^ (hash >> 33)) * 0xFF51_AFD7_ED55_8CCD;
        hash = (hash ^ (hash >> 33)) * 0xC4CE_B9FE_1A85_EC53;
        return new MacAddress((0x52UL << 40) | (hash >> 24));
    }

    /// <summary>Six hexadecimal bytes separated by ':' or '-'. Multicast addresses are taken; the caller judges.</summary>
    public static bool TryParse(string text, out MacAddress address)
    {
        address = default;
        string[] parts = text.Split(text.Contains(':', StringComparison.Ordinal) ? ':' : '-');
        if (parts.Length != Length)
            return false;
        ulong value = 0;
        foreach (string part in parts)
        {
            if (part.Length != 2 || !byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte number))
                return false;
            value = value << 8 | number;
        }

        address = new MacAddress(value);
        return true;
    }

    /// <summary>Writes the six bytes in wire order; <paramref name="into"/> is at least as long.</summary>
    public void CopyTo(Span<byte> into)
    {
        for (int i = 0; i < Length; i++)
            into[i] = (byte)(Value >> (40 - 8 * i));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(byte)(Value >> 40):x2}:{(byte)(Value >> 32):x2}:{(byte)(Value >> 24):x2}:{(byte)(Value >> 16):x2}:{(byte)(Value >> 8):x2}:{(byte)Value:x2}");
}
