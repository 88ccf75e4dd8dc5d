using KvmSharp.Backends.Net;
using KvmSharp.TestKit;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;
using static KvmSharp.Emulated.Tests.Net.E1000.E1000Bed;
using static KvmSharp.Emulated.Tests.Net.E1000.TransmitBits;

namespace KvmSharp.Emulated.Tests.Net.E1000;

/// <summary>Frames through the whole device, interrupts taken as a driver does: neither the loop nor a vCPU's thread may allocate.</summary>
public sealed class E1000AllocationTests
{
    private const int Rounds = 50_000;

    [Theory]
    [InlineData(NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6)]
    [InlineData(NetOffloads.None)]
    public void Transmit_AllKindsOfFrames_AllocatesNothing(NetOffloads offloads)
    {
        using E1000Bed bed = new(new EndlessNet(offloads));
        bed[CTRL] = CTRL_VME;
        bed.StartTransmit();
        bed[IMS] = ICR_TXDW;
        // A ring of which nothing changes but the tail: four kinds of frames, four times.
        (ulong, ulong)[] cycle =
        [
            Legacy(Buffers, 60), Context((14, 24, 33), (34, 50, 0), segment: true, headers: 54, size: 1000),
            OfData(Buffers, 3000, EndOfPacket | Segment | IpChecksum | TransportChecksum), OfData(Buffers, 100, EndOfPacket | Report | Vlan | 5ul << 48),
        ];
        for (int i = 0; i < RingCount / cycle.Length; i++)
            bed.Queue(cycle);

        Assert.Equal((0, 0), Measure(bed, round =>
        {
            WriteTail(bed, TDT, (uint)(round * cycle.Length % RingCount));
            TakeInterrupt(bed);
        }));
        Assert.NotEqual(0u, bed[0x4080]);
    }

    [Fact]
    public void Receive_WithChecksums_AllocatesNothing()
    {
        using E1000Bed bed = new(new EndlessNet(NetOffloads.Checksum));
        bed[RXCSUM] = RXCSUM_IPOFL | RXCSUM_TUOFL;
        bed.StartReceive();
        bed[IMS] = ICR_RXT0;

        Assert.Equal((0, 0), Measure(bed, round =>
        {
            WriteTail(bed, RDT, (uint)(round * 8 % RingCount));
            TakeInterrupt(bed);
        }));
        Assert.NotEqual(0u, bed[0x4074]);
    }

    private static (long Loop, long Vcpu) Measure(E1000Bed bed, Action<int> round) => AllocationProbe.OnBoth(bed.Loop, () =>
    {
        for (int i = 0; i < Rounds; i++)
            round(i);
    });

    private static void WriteTail(E1000Bed bed, uint register, uint value)
    {
        Span<byte> data = stackalloc byte[4];
        BitConverter.TryWriteBytes(data, value);
        bed.Mmio.Write(bed.Device.Function.FindBar(0)!.Address!.Value + register, data);
    }

    private static void TakeInterrupt(E1000Bed bed)
    {
        Span<byte> data = stackalloc byte[4];
        if (bed.Line.Level)
            bed.Mmio.Read(bed.Device.Function.FindBar(0)!.Address!.Value + ICR, data);
    }
}
