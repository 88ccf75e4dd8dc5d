using System.Buffers.Binary;
using KvmSharp.Backends.Net;
using KvmSharp.Emulated.Net.E1000;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;
using static KvmSharp.Emulated.Tests.Net.E1000.E1000Bed;

namespace KvmSharp.Emulated.Tests.Net.E1000;

public sealed class E1000ReceiveTests
{
    private const ulong Broadcast = 0xFFFF_FFFF_FFFF, Stranger = 0x5254_0000_0001, Group = 0x0100_5E7F_0A0B;
    private const int CheckSequence = 4;

    [Fact]
    public void Receive_OwnAddress_FillsADescriptorAndInterrupts()
    {
        using E1000Bed bed = new();
        bed[IMS] = ICR_RXT0;
        bed.StartReceive();
        byte[] frame = Frame(100, Mac.Value);

        bed.Arrive(frame);

        ulong control = bed.TakeReceived(0);
        Assert.Equal((ulong)(100 + CheckSequence), control & 0xFFFF);
        Assert.Equal(3ul, control >> 32 & 3);
        Assert.Equal(frame, bed.Read(Buffer(0), 100));
        bed.WaitFor(() => bed.Line.Level);
        Assert.Equal(1u, bed[RDH]);
        Assert.Equal(ICR_RXT0, bed[ICR]);
    }

    [Fact]
    public void Receive_ShortFrame_IsPadded()
    {
        using E1000Bed bed = new();
        bed.StartReceive(RCTL_SECRC);

        bed.Arrive(Frame(20, Mac.Value));

        Assert.Equal(60ul, bed.TakeReceived(0) & 0xFFFF);
        Assert.All(bed.Read(Buffer(0) + 20, 40), b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData(Broadcast, 0u, false)]
    [InlineData(Broadcast, RCTL_BAM, true)]
    [InlineData(Stranger, RCTL_BAM | RCTL_MPE, false)]
    [InlineData(Stranger, RCTL_UPE, true)]
    [InlineData(Group, RCTL_BAM | RCTL_UPE, false)]
    [InlineData(Group, RCTL_MPE, true)]
    public void Filter_ByAddressAndMode_PassesWhatTheDriverWants(ulong destination, uint control, bool passes) =>
        Assert.Equal(passes, Passes(control, Frame(60, destination)));

    [Theory]
    [InlineData(0, 0x0B0)] // bits 47:36 of 0A 0B: 0xB0 with 0xA above the lowest nibble
    [InlineData(1, 0x161)]
    [InlineData(2, 0x2C2)]
    [InlineData(3, 0xB0A)]
    public void Filter_MulticastTable_HashesTheBitsThatTheOffsetSays(int offset, int hash)
    {
        using E1000Bed bed = new();
        bed[MTA + (4 * ((uint)hash >> 5))] = 1u << (hash & 31);
        bed.StartReceive((uint)offset << RCTL_MO_SHIFT);

        bed.Arrive(Frame(60, Group ^ 1)); // another bit of the table
        bed.Arrive(Frame(61, Group));

        ulong control = bed.TakeReceived(0);
        Assert.Equal((ulong)(61 + CheckSequence), control & 0xFFFF);
        Assert.Equal(1ul << 7, control >> 32 & 0x80);
    }

    [Fact]
    public void Filter_SecondReceiveAddress_PassesWhenValid()
    {
        using E1000Bed bed = new();
        bed[RAL0 + 120] = 0x0000_5452;
        bed[RAH0 + 120] = RAH_AV | 0x0100;
        bed.StartReceive();

        bed.Arrive(Frame(60, Stranger));

        bed.TakeReceived(0);
    }

    [Theory]
    [InlineData(5, 5, true)]
    [InlineData(5, 6, false)]
    public void Filter_Vlan_PassesTheIdsInTheTable(int allowed, int id, bool passes)
    {
        using E1000Bed bed = new();
        bed[VET] = 0x8100;
        bed[VFTA + (4 * ((uint)allowed >> 5))] = 1u << (allowed & 31);
        bed.StartReceive(RCTL_VFE);

        bed.Arrive(Tagged(id));
        bed.Arrive(Frame(99, Mac.Value));

        Assert.Equal((ulong)((passes ? 64 : 99) + CheckSequence), bed.TakeReceived(0) & 0xFFFF);
    }

    [Fact]
    public void Receive_VlanMode_StripsTheTagIntoTheDescriptor()
    {
        using E1000Bed bed = new();
        bed[VET] = 0x8100;
        bed[CTRL] = CTRL_VME;
        bed.StartReceive();
        byte[] frame = Tagged(0x2005);

        bed.Arrive(frame);

        ulong control = bed.TakeReceived(0);
        Assert.Equal(0x2005ul, control >> 48);
        Assert.Equal(1ul << 3, control >> 32 & 8);
        Assert.Equal([.. frame[..12], .. frame[16..]], bed.Read(Buffer(0), 60));
    }

    [Fact]
    public void Receive_LongerThanABuffer_SpansDescriptors()
    {
        using E1000Bed bed = new();
        bed.StartReceive(RCTL_LPE | RCTL_SECRC);
        byte[] frame = Frame(5000, Mac.Value);

        bed.Arrive(frame);

        Assert.Equal(1ul, bed.TakeReceived(0) >> 32 & 3);
        Assert.Equal(1ul, bed.TakeReceived(1) >> 32 & 3);
        ulong last = bed.TakeReceived(2);
        Assert.Equal(3ul, last >> 32 & 3);
        Assert.Equal(5000ul - (2 * BufferLength), last & 0xFFFF);
        Assert.Equal(frame, bed.Read(Buffer(0), 5000));
    }

    [Theory]
    [InlineData(1514, 0u, true)]
    [InlineData(1515, 0u, false)]
    [InlineData(9000, RCTL_LPE, true)]
    [InlineData(16289, RCTL_LPE, false)]
    public void Receive_ByLength_PassesUpToTheLimit(int length, uint control, bool passes) =>
        Assert.Equal(passes, Passes(control, Frame(length, Mac.Value)));

    [Theory]
    [InlineData(0u, 2048)]
    [InlineData(1u << 16, 1024)]
    [InlineData(3u << 16, 256)]
    [InlineData(RCTL_BSEX | 1u << 16, 16384)]
    [InlineData(RCTL_BSEX | 3u << 16, 4096)]
    public void Receive_BufferSize_IsWhatTheDriverSays(uint control, int size)
    {
        using E1000Bed bed = new();
        bed.StartReceive(control | RCTL_LPE | RCTL_SECRC);

        bed.Arrive(Frame(3000, Mac.Value));

        Assert.Equal((ulong)Math.Min(size, 3000), bed.TakeReceived(0) & 0xFFFF);
    }

    [Fact]
    public void Receive_NoDescriptors_WaitsForTheTail()
    {
        using E1000Bed bed = new();
        bed.StartReceive();
        bed[RDT] = 0;
        bed.Arrive(Frame(60, Mac.Value));
        bed.Settle();
        Assert.Equal(0u, bed[RDH]);

        bed[RDT] = 1;

        bed.TakeReceived(0);
    }

    [Fact]
    public void Receive_RingRunsLow_SaysSo()
    {
        using E1000Bed bed = new();
        bed.StartReceive();
        for (int i = 0; i < 6; i++)
            bed.Arrive(Frame(60, Mac.Value));
        bed.TakeReceived(5);
        bed.Settle();
        Assert.Equal(0u, bed[ICR] & ICR_RXDMT0);

        bed.Arrive(Frame(60, Mac.Value)); // half of the ring is left

        bed.WaitFor(() => (bed[ICR] & ICR_RXDMT0) != 0);
    }

    [Fact]
    public void Receive_FrameThatNeverFits_IsMissed()
    {
        using E1000Bed bed = new();
        bed.StartReceive(RCTL_LPE | RCTL_BSIZE | RCTL_UPE);

        bed.Arrive(Frame(8000, Mac.Value)); // 32 buffers of 256 bytes
        bed.Arrive(Frame(60, Mac.Value));

        Assert.Equal((ulong)(60 + CheckSequence), bed.TakeReceived(0) & 0xFFFF);
        Assert.Equal(1u, bed[0x4010]);
    }

    [Fact]
    public void Receive_PartialChecksum_IsCompletedAndReported()
    {
        using E1000Bed bed = new();
        bed[RXCSUM] = RXCSUM_IPOFL | RXCSUM_TUOFL;
        bed.StartReceive();
        byte[] packet = UdpPacket(partial: true);

        bed.Arrive(packet, flags: 1, sumStart: 34, sumOffset: 6);

        Assert.Equal(0x60ul, bed.TakeReceived(0) >> 32 & 0xFF64);
        byte[] received = bed.Read(Buffer(0), packet.Length);
        Assert.Equal(UdpPacket(partial: false), received);
    }

    [Theory]
    [InlineData(-1, 0x0060u)]
    [InlineData(50, 0x2060u)] // a byte of payload
    [InlineData(23, 0x4020u | 0x40)] // the protocol: then there is nothing that could be verified
    public void Receive_Checksums_AreVerified(int broken, uint expected)
    {
        using E1000Bed bed = new();
        bed[RXCSUM] = RXCSUM_IPOFL | RXCSUM_TUOFL;
        bed.StartReceive();
        byte[] packet = UdpPacket(partial: false);
        if (broken >= 0)
            packet[broken] ^= 0x55;

        bed.Arrive(packet);

        uint mask = broken == 23 ? 0x4040u : 0xFF64;
        Assert.Equal(expected & mask, (uint)(bed.TakeReceived(0) >> 32) & mask);
    }

    [Fact]
    public void Receive_ChecksumsOff_AreMarkedAsIgnored()
    {
        using E1000Bed bed = new();
        bed.StartReceive();

        bed.Arrive(UdpPacket(partial: false));

        Assert.Equal(4ul, bed.TakeReceived(0) >> 32 & 0x64);
    }

    [Fact]
    public void Receive_ChecksumPlaceOutsideTheFrame_ChangesNothing()
    {
        using E1000Bed bed = new();
        bed.StartReceive();
        byte[] frame = Frame(60, Mac.Value);

        bed.Arrive(frame, flags: 1, sumStart: 0xFFFF, sumOffset: 0xFFFF);

        bed.TakeReceived(0);
        Assert.Equal(frame, bed.Read(Buffer(0), 60));
    }

    [Theory]
    [InlineData(MemoryBytes - 16, 256u)]
    [InlineData(0xFFFF_FFFF_FFFF_FFF0, 256u)]
    [InlineData(ReceiveRing, 0u)]
    public void Ring_NotInMemoryOrEmpty_ReceivesNothing(ulong ring, uint bytes)
    {
        using E1000Bed bed = new();
        bed.StartReceive(0, ring, bytes);

        bed.Arrive(Frame(60, Mac.Value));

        bed.Settle();
        Assert.Equal(0u, bed[RDH]);
        Assert.Equal(0u, bed[ICR]);
    }

    [Fact]
    public void Buffer_OutsideMemory_IsReportedAsAnError()
    {
        using E1000Bed bed = new();
        bed.StartReceive();
        bed.Memory.TryWrite(new(ReceiveRing), ulong.MaxValue);

        bed.Arrive(Frame(60, Mac.Value));

        Assert.Equal(0x80ul, bed.TakeReceived(0) >> 40 & 0xFF);
    }

    [Fact]
    public void Tail_OutsideTheRing_ReceivesNothing()
    {
        using E1000Bed bed = new();
        bed.StartReceive();
        bed[RDT] = 0xFFFF;

        bed.Arrive(Frame(60, Mac.Value));

        bed.Settle();
        Assert.Equal(0u, bed[RDH]);
    }

    [Fact]
    public void Loopback_OfThePhy_BringsFramesBack()
    {
        using E1000Bed bed = new();
        bed.StartReceive(RCTL_SECRC);
        bed.StartTransmit();
        bed[MDIC] = 1u << 26 | 1u << 21 | 0x4140;
        byte[] frame = Frame(80, Mac.Value);
        bed.Write(Buffers + 0x8_0000, frame);

        bed.Transmit(TransmitBits.Legacy(Buffers + 0x8_0000, 80));

        Assert.Equal(80ul, bed.TakeReceived(0) & 0xFFFF);
        Assert.Equal(frame, bed.Read(Buffer(0), 80));
        Assert.Empty(bed.Backend[0].Sent);
    }

    private static bool Passes(uint control, byte[] frame)
    {
        using E1000Bed bed = new();
        bed.StartReceive(control | RCTL_SECRC);
        bed.Arrive(frame);
        bed.Arrive(Frame(77, Mac.Value));
        return (bed.TakeReceived(0) & 0xFFFF) != 77;
    }

    private static byte[] Tagged(int tag)
    {
        byte[] frame = Frame(64, Mac.Value, 0x8100);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), (ushort)tag);
        return frame;
    }

    private static byte[] UdpPacket(bool partial)
    {
        const int IpStart = 14, UdpStart = 34, Length = 80;
        byte[] packet = Frame(Length, Mac.Value, 0x0800);
        Span<byte> ip = packet.AsSpan(IpStart, 20);
        ip.Clear();
        ip[0] = 0x45;
        ip[3] = Length - IpStart;
        ip[8] = 64;
        ip[9] = 17;
        new MacAddress(0x0A00_0001_0A00).CopyTo(ip[12..]);
        ip[18] = 0;
        ip[19] = 2;
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], (ushort)~InternetChecksum.Sum(ip));
        Span<byte> udp = packet.AsSpan(UdpStart);
        udp[4] = 0;
        udp[5] = (byte)udp.Length;
        ushort pseudo = InternetChecksum.Fold(InternetChecksum.Sum(ip[12..20]) + 17u + (uint)udp.Length);
        BinaryPrimitives.WriteUInt16BigEndian(udp[6..], pseudo);
        if (!partial)
            BinaryPrimitives.WriteUInt16BigEndian(udp[6..], (ushort)~InternetChecksum.Sum(udp));
        return packet;
    }
}
