using System.Buffers.Binary;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>Verifies the checksums of IPv4 headers, TCP and UDP in what was received (manual §3.2.9).</summary>
internal static class ReceiveChecksum
{
    private const int EthernetLength = 14, MinIpv4 = 20;
    private const ushort Ipv4Type = 0x0800;
    private const byte Tcp = 6, Udp = 17;

    // Status in bits 0-7 and errors in bits 8-15 of a receive descriptor's upper word.
    private const ulong Ignore = 1 << 2, TransportChecked = 1 << 5, IpChecked = 1 << 6, TransportError = 1 << 13, IpError = 1 << 14;

    /// <summary>Completes the sum of a sender on this host, which was left to the device.</summary>
    /// <param name="start">First byte that it covers, to the end.</param>
    /// <param name="offset">Where it goes, from there.</param>
    public static void Complete(Span<byte> frame, int start, int offset)
    {
        if (start + offset + 2 <= frame.Length)
            BinaryPrimitives.WriteUInt16BigEndian(frame[(start + offset)..], (ushort)~InternetChecksum.Sum(frame[start..]));
    }

    /// <param name="frame">Without a tag.</param>
    /// <param name="control">RXCSUM.</param>
    /// <param name="trusted">The host vouches for the transport checksum.</param>
    /// <returns>Status and error bits of the descriptor.</returns>
    public static ulong Inspect(ReadOnlySpan<byte> frame, uint control, bool trusted)
    {
        if ((control & (RXCSUM_IPOFL | RXCSUM_TUOFL)) == 0 || frame.Length < EthernetLength + MinIpv4 ||
            BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != Ipv4Type)
            return Ignore;
        ReadOnlySpan<byte> packet = frame[EthernetLength..];
        int header = (packet[0] & 0xF) * 4;
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (packet[0] >> 4 != 4 || header < MinIpv4 || total < header || total > packet.Length)
            return Ignore;
        ulong status = 0;
        if ((control & RXCSUM_IPOFL) != 0)
            status |= IpChecked | (InternetChecksum.Sum(packet[..header]) == 0xFFFF ? 0 : IpError);
        bool fragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        return (control & RXCSUM_TUOFL) != 0 && !fragment ? status | InspectTransport(packet[..total], header, trusted) : status;
    }

    private static ulong InspectTransport(ReadOnlySpan<byte> packet, int header, bool trusted)
    {
        ReadOnlySpan<byte> transport = packet[header..];
        byte protocol = packet[9];
        bool none = protocol switch
        {
            Tcp => transport.Length < 20,
            Udp => transport.Length < 8 || BinaryPrimitives.ReadUInt16BigEndian(transport[6..]) == 0,
            _ => true,
        };
        if (none)
            return 0;
        if (trusted)
            return TransportChecked;
        ushort pseudo = InternetChecksum.Fold(InternetChecksum.Sum(packet[12..20]) + (uint)protocol + (uint)transport.Length);
        return TransportChecked | (InternetChecksum.Sum(transport, pseudo) == 0xFFFF ? 0 : TransportError);
    }
}
