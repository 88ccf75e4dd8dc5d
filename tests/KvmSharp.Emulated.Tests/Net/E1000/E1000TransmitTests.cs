using System.Buffers.Binary;
using KvmSharp.Devices.Pci;
using KvmSharp.Emulated.Net.E1000;
using KvmSharp.TestKit.Net;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;
using static KvmSharp.Emulated.Tests.Net.E1000.E1000Bed;
using static KvmSharp.Emulated.Tests.Net.E1000.TransmitBits;

namespace KvmSharp.Emulated.Tests.Net.E1000;

public sealed class E1000TransmitTests
{
    private const int EthernetLength = 14, Ipv4Length = 20, TcpLength = 20, Headers = EthernetLength + Ipv4Length + TcpLength;
    private const byte IpStart = EthernetLength, TransportStart = IpStart + Ipv4Length;
    private const byte NeedsChecksum = 1, Tcp4 = 1;

    [Fact]
    public void Legacy_OneDescriptor_SendsAndReports()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed[IMS] = ICR_TXDW;
        byte[] frame = Frame(60, 0x5254_0000_0001);
        bed.Write(Buffers, frame);

        bed.Transmit(Legacy(Buffers, 60));

        byte[] sent = bed.TakeSent();
        Assert.Equal(frame, sent[HeaderLength..]);
        Assert.All(sent[..HeaderLength], b => Assert.Equal(0, b));
        bed.WaitFor(() => bed.Line.Level);
        Assert.Equal(1u, bed.TransmitStatus(0));
        Assert.Equal(1u, bed[TDH]);
        Assert.Equal(ICR_TXDW, bed[ICR] & ICR_TXDW);
    }

    [Fact]
    public void Legacy_WithoutReport_LeavesTheDescriptorAlone()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();

        bed.Transmit(Legacy(Buffers, 60, EndOfPacket));

        bed.TakeSent();
        bed.WaitFor(() => bed[TDH] == 1);
        Assert.Equal(0u, bed.TransmitStatus(0));
        Assert.Equal(0u, bed[ICR]);
    }

    [Fact]
    public void Legacy_PiecesInSeveralTails_AreOneFrame()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        byte[] frame = Frame(100, 0x5254_0000_0001);
        bed.Write(Buffers, frame);

        bed.Transmit(Legacy(Buffers, 10, Report));
        bed.Settle();
        Assert.Empty(bed.Backend[0].Sent);
        bed.Transmit(Legacy(Buffers + 10, 0, Report), Legacy(Buffers + 10, 90));

        Assert.Equal(frame, bed.TakeSent()[HeaderLength..]);
        bed.WaitFor(() => bed[TDH] == 3);
        Assert.Equal(1u, bed.TransmitStatus(0));
        Assert.Equal(1u, bed.TransmitStatus(2));
    }

    [Fact]
    public void Ring_ManyTurns_WrapsInOrder()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        for (int i = 0; i < 100; i++)
        {
            byte[] frame = Frame(60 + i, 0x5254_0000_0001);
            bed.Write(Buffers, frame);
            bed.Transmit(Legacy(Buffers, frame.Length));
            Assert.Equal(frame, bed.TakeSent()[HeaderLength..]);
            bed.WaitFor(() => bed[TDH] == (i + 1) % RingCount);
        }
    }

    [Fact]
    public void Legacy_InsertChecksum_IsLeftToTheHost()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();

        bed.Transmit((Buffers, 60 | EndOfPacket | InsertChecksum | 50u << 16 | 34ul << 40));

        byte[] sent = bed.TakeSent();
        Assert.Equal(NeedsChecksum, sent[0]);
        Assert.Equal(34, BinaryPrimitives.ReadUInt16LittleEndian(sent.AsSpan(6)));
        Assert.Equal(16, BinaryPrimitives.ReadUInt16LittleEndian(sent.AsSpan(8)));
    }

    [Fact]
    public void Legacy_InsertChecksumWhereTheHostDoesNot_IsDoneHere()
    {
        using E1000Bed bed = new(new FakeNetBackend { SupportedOffloads = default });
        bed.StartTransmit();
        byte[] frame = Frame(61, 0x5254_0000_0001);
        frame.AsSpan(50, 2).Clear();
        bed.Write(Buffers, frame);

        bed.Transmit((Buffers, 61 | EndOfPacket | InsertChecksum | 50u << 16 | 34ul << 40));

        byte[] sent = bed.TakeSent();
        Assert.Equal(0, sent[0]);
        Assert.Equal(0xFFFF, InternetChecksum.Sum(sent.AsSpan(HeaderLength + 34)));
        Assert.NotEqual(0, BinaryPrimitives.ReadUInt16BigEndian(sent.AsSpan(HeaderLength + 50)));
    }

    [Fact]
    public void Data_IpChecksum_IsInsertedIntoACopy()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        byte[] packet = TcpPacket(100);
        bed.Write(Buffers, packet);

        bed.Transmit(Context((IpStart, IpStart + 10, IpStart + 19), (TransportStart, TransportStart + 16, 0)),
            OfData(Buffers, packet.Length, EndOfPacket | Report | IpChecksum | TransportChecksum));

        byte[] sent = bed.TakeSent();
        Assert.Equal(0xFFFF, InternetChecksum.Sum(sent.AsSpan(HeaderLength + IpStart, Ipv4Length)));
        Assert.Equal(NeedsChecksum, sent[0]);
        Assert.Equal(packet, bed.Read(Buffers, packet.Length));
        bed.WaitFor(() => bed[TDH] == 2);
        Assert.Equal(1u, bed.TransmitStatus(0));
    }

    [Fact]
    public void Data_VlanTag_IsInsertedAndShiftsTheChecksum()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed[CTRL] = CTRL_VME;
        byte[] packet = TcpPacket(100);
        bed.Write(Buffers, packet);

        bed.Transmit(Context((0, 0, 0), (TransportStart, TransportStart + 16, 0)),
            OfData(Buffers, packet.Length, EndOfPacket | Vlan | TransportChecksum | 0x2005ul << 48));

        byte[] sent = bed.TakeSent();
        byte[] expected = [.. packet[..12], 0x81, 0x00, 0x20, 0x05, .. packet[12..]];
        Assert.Equal(expected, sent[HeaderLength..]);
        Assert.Equal(TransportStart + 4, BinaryPrimitives.ReadUInt16LittleEndian(sent.AsSpan(6)));
    }

    [Fact]
    public void Segmentation_TcpByTheHost_GoesAsOnePacketWithFixedHeaders()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        byte[] packet = TcpPacket(5000);
        bed.Write(Buffers, packet);

        bed.Transmit(SegmentContext(1000), OfData(Buffers, 1000, Segment | IpChecksum | TransportChecksum), OfData(Buffers + 1000, packet.Length - 1000, EndOfPacket | Segment));

        byte[] sent = bed.TakeSent();
        Assert.Equal(NeedsChecksum, sent[0]);
        Assert.Equal(Tcp4, sent[1]);
        Assert.Equal(1000, BinaryPrimitives.ReadUInt16LittleEndian(sent.AsSpan(4)));
        byte[] frame = sent[HeaderLength..];
        Assert.Equal(Ipv4Length + TcpLength + 5000, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(IpStart + 2)));
        Assert.Equal(0xFFFF, InternetChecksum.Sum(frame.AsSpan(IpStart, Ipv4Length)));
        Assert.Equal(0x1234 + TcpLength + 5000, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(TransportStart + 16)));
        Assert.Equal(packet[Headers..], frame[Headers..]);
    }

    [Fact]
    public void Segmentation_TcpWhereTheHostDoesNot_IsCutHere()
    {
        using E1000Bed bed = new(new FakeNetBackend { SupportedOffloads = default });
        bed.StartTransmit();
        byte[] packet = TcpPacket(2500);
        bed.Write(Buffers, packet);

        bed.Transmit(SegmentContext(1000), OfData(Buffers, packet.Length, EndOfPacket | Segment | IpChecksum | TransportChecksum));

        for (int i = 0; i < 3; i++)
        {
            byte[] frame = bed.TakeSent()[HeaderLength..];
            int payload = i < 2 ? 1000 : 500;
            Assert.Equal(Headers + payload, frame.Length);
            Assert.Equal(packet.AsSpan(Headers + (1000 * i), payload), frame.AsSpan(Headers));
            Assert.Equal(7 + i, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(IpStart + 4)));
            Assert.Equal(0x0102_0304u + (1000 * i), BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(TransportStart + 4)));
            Assert.Equal(i < 2 ? 0x10 : 0x19, frame[TransportStart + 13]);
            Assert.Equal(0xFFFF, InternetChecksum.Sum(frame.AsSpan(IpStart, Ipv4Length)));
            // The driver's pseudo header sum was 0x1234; what the checksum makes of it is 0xFFFF again.
            Assert.Equal(0xFFFF, InternetChecksum.Sum(frame.AsSpan(TransportStart), (ushort)(0x1234 + TcpLength + payload)));
        }
    }

    [Fact]
    public void Segmentation_LargerThanAPacketMayBe_IsSentInParts()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        byte[] packet = TcpPacket(100_000);
        bed.Write(Buffers, packet);

        bed.Transmit(SegmentContext(1460), OfData(Buffers, packet.Length, EndOfPacket | Segment | IpChecksum | TransportChecksum));

        byte[] first = bed.TakeSent()[HeaderLength..], second = bed.TakeSent()[HeaderLength..];
        Assert.Equal(44 * 1460, first.Length - Headers);
        Assert.Equal(packet[Headers..], first[Headers..].Concat(second[Headers..]));
        Assert.Equal(7 + 44, BinaryPrimitives.ReadUInt16BigEndian(second.AsSpan(IpStart + 4)));
    }

    [Fact]
    public void Segmentation_HostFullBetweenParts_GoesOnWhereItWas()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        byte[] packet = TcpPacket(100_000);
        bed.Write(Buffers, packet);
        bed.Backend[0].RefuseSends();

        bed.Transmit(SegmentContext(1460), OfData(Buffers, packet.Length, EndOfPacket | Report | Segment | IpChecksum | TransportChecksum));
        bed.Settle();
        Assert.Equal(0u, bed.TransmitStatus(1));
        bed.Backend[0].MakeRoom();

        int bytes = bed.TakeSent().Length + bed.TakeSent().Length - (2 * (HeaderLength + Headers));
        Assert.Equal(100_000, bytes);
        bed.WaitFor(() => bed.TransmitStatus(1) == 1);
    }

    [Theory]
    [InlineData(0, Headers)] // no segment size
    [InlineData(1, 255)] // headers longer than the frame
    [InlineData(1000, 40)] // headers that end before the TCP header does
    [InlineData(1000, 0)]
    public void Segmentation_AbsurdHeaders_DropsTheFrameOnly(int size, int headers)
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed.Write(Buffers, TcpPacket(100));
        byte[] frame = Frame(60, 1);

        bed.Transmit(Context((IpStart, IpStart + 10, IpStart + 19), (TransportStart, TransportStart + 16, 0), segment: true, headers: headers, size: size),
            OfData(Buffers, headers == 255 ? 200 : Headers + 100, EndOfPacket | Report | Segment | IpChecksum | TransportChecksum));
        bed.Write(Buffers + 0x1000, frame);
        bed.Transmit(Legacy(Buffers + 0x1000, 60));

        Assert.Equal(frame, bed.TakeSent()[HeaderLength..]);
        Assert.Equal(1u, bed.TransmitStatus(1));
    }

    [Fact]
    public void Segmentation_OneByteSegmentsOfAMegabyte_IsDroppedWhereTheHostDoesNotCut()
    {
        using E1000Bed bed = new(new FakeNetBackend { SupportedOffloads = default });
        bed.StartTransmit();

        bed.Transmit(SegmentContext(1), OfData(Buffers, 0xF_FFFF, EndOfPacket | Report | Segment | IpChecksum | TransportChecksum));

        bed.WaitFor(() => bed.TransmitStatus(1) == 1);
        Assert.Empty(bed.Backend[0].Sent);
    }

    [Theory]
    [InlineData(MemoryBytes - 16, 256u)]
    [InlineData(0xFFFF_FFFF_FFFF_FFF0, 256u)]
    [InlineData(TransmitRing, 0u)]
    public void Ring_NotInMemoryOrEmpty_SendsNothing(ulong ring, uint bytes)
    {
        using E1000Bed bed = new();
        bed.StartTransmit(ring, bytes);

        bed.Transmit(Legacy(Buffers, 60));

        bed.Settle();
        Assert.Empty(bed.Backend[0].Sent);
        Assert.Equal(0u, bed[TDH]);
    }

    [Theory]
    [InlineData(16u)]
    [InlineData(0xFFFFu)]
    public void Tail_OutsideTheRing_SendsNothingUntilItIsInside(uint tail)
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed.Queue(Legacy(Buffers, 60));

        bed[TDT] = tail;
        bed.Settle();
        Assert.Empty(bed.Backend[0].Sent);
        bed[TDT] = 1;

        bed.TakeSent();
    }

    [Fact]
    public void Head_OutsideTheRing_SendsNothing()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed[TDH] = 99;

        bed[TDT] = 4;

        bed.Settle();
        Assert.Empty(bed.Backend[0].Sent);
    }

    [Fact]
    public void Buffer_OutsideMemory_DropsTheFrameOnly()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();

        bed.Transmit(Legacy(MemoryBytes - 10, 60), Legacy(ulong.MaxValue, 60), Legacy(Buffers, 64));

        Assert.Equal(HeaderLength + 64, bed.TakeSent().Length);
        bed.WaitFor(() => bed[TDH] == 3);
    }

    [Fact]
    public void Frame_WithoutEnd_EndsAtTheTail()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        for (int i = 0; i < RingCount - 1; i++)
            bed.Queue(Legacy(Buffers, 0xFFFF, 0));
        bed[TDT] = RingCount - 1;
        bed.Settle();

        bed.Queue(Legacy(Buffers, 1));
        bed[TDT] = 0;
        bed.WaitFor(() => bed[TDH] == 0);

        Assert.Empty(bed.Backend[0].Sent);
    }

    [Fact]
    public void BusMaster_Off_StopsTheRing()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed.Command(PciRegisters.CommandMemory);

        bed.Transmit(Legacy(Buffers, 60));
        bed.Settle();
        Assert.Empty(bed.Backend[0].Sent);
        bed.Command(PciRegisters.CommandMemory | PciRegisters.CommandBusMaster);

        bed.TakeSent();
    }

    [Fact]
    public void Statistics_AfterFrames_CountAndClear()
    {
        using E1000Bed bed = new();
        bed.StartTransmit();
        bed.Write(Buffers, Frame(60, 0xFFFF_FFFF_FFFF));

        bed.Transmit(Legacy(Buffers, 60), Legacy(Buffers, 60));
        bed.WaitFor(() => bed[TDH] == 2);

        Assert.Equal(2u, bed[0x4080]);
        Assert.Equal(0u, bed[0x4080]);
        Assert.Equal(2u, bed[0x40F4]);
        Assert.Equal(120u, bed[0x4090]);
        Assert.Equal(0u, bed[0x4094]);
        Assert.Equal(0u, bed[0x4090]);
    }

    private static (ulong, ulong) SegmentContext(int size) =>
        Context((IpStart, IpStart + 10, IpStart + 19), (TransportStart, TransportStart + 16, 0), segment: true, headers: Headers, size: size);

    /// <summary>What a driver gives for segmentation: no lengths, identification 7, sequence 0x01020304, FIN PSH ACK, pseudo header sum 0x1234.</summary>
    private static byte[] TcpPacket(int payload)
    {
        byte[] packet = new byte[Headers + payload];
        new Random(1).NextBytes(packet);
        packet[0] = 2;
        packet[12] = 8;
        packet[13] = 0;
        Span<byte> ip = packet.AsSpan(IpStart, Ipv4Length);
        ip.Clear();
        ip[0] = 0x45;
        ip[5] = 7;
        ip[8] = 64;
        ip[9] = 6;
        Span<byte> tcp = packet.AsSpan(TransportStart, TcpLength);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], 0x0102_0304);
        tcp[12] = 0x50;
        tcp[13] = 0x19;
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], 0x1234);
        return packet;
    }
}
