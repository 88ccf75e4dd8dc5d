namespace KvmSharp.Emulated.Tests.Net.E1000;

/// <summary>Commands of transmit descriptors as a driver writes them (8254x manual §3.3).</summary>
internal static class TransmitBits
{
    internal const ulong EndOfPacket = 1 << 24, InsertChecksum = 1 << 26, Segment = 1 << 26, Report = 1 << 27, Extended = 1 << 29, Vlan = 1 << 30;
    internal const ulong Data = Extended | 1 << 20, IpChecksum = 1ul << 40, TransportChecksum = 2ul << 40;

    internal static (ulong, ulong) Legacy(ulong address, int length, ulong bits = EndOfPacket | Report) => (address, (uint)length | bits);

    internal static (ulong, ulong) OfData(ulong address, int length, ulong bits = EndOfPacket | Report) => (address, (uint)length | Data | bits);

    /// <param name="ip">Start, place and last byte of the header's checksum.</param>
    /// <param name="transport">Likewise.</param>
    internal static (ulong, ulong) Context((byte Start, byte At, ushort Last) ip, (byte Start, byte At, ushort Last) transport, bool tcp = true, bool ipv4 = true,
        bool segment = false, int headers = 0, int size = 0, int payload = 0) =>
        (ip.Start | (ulong)ip.At << 8 | (ulong)ip.Last << 16 | (ulong)transport.Start << 32 | (ulong)transport.At << 40 | (ulong)transport.Last << 48,
        (uint)payload | Extended | Report | (tcp ? 1ul << 24 : 0) | (ipv4 ? 1ul << 25 : 0) | (segment ? Segment : 0) | (ulong)headers << 40 | (ulong)size << 48);
}
