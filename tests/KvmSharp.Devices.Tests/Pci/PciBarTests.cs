using KvmSharp.Core.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.Devices.Tests.Support;

namespace KvmSharp.Devices.Tests.Pci;

public sealed class PciBarTests : IDisposable
{
    private static readonly Bdf Slot = new(0, 3);
    private readonly PciTestBed _bed = new();
    private readonly RecordingDevice _memory = new(0x11);
    private readonly RecordingDevice _wide = new(0x22);
    private readonly RecordingDevice _ports = new(0x33);
    private readonly PciEndpoint _endpoint = PciTestBed.NewEndpoint();

    public PciBarTests()
    {
        _endpoint.AddBar(new PciBar(0, PciBarKind.Memory32, 0x4000, _memory));
        _endpoint.AddBar(new PciBar(2, PciBarKind.Memory64Prefetchable, 0x10_0000, _wide));
        _endpoint.AddBar(new PciBar(4, 0x40, _ports));
        _bed.Root.Attach(Slot, _endpoint);
    }

    public void Dispose() => _bed.Dispose();

    [Fact]
    public void Attach_Bars_AssignedFromTheirWindowsAndDecoded()
    {
        Assert.Equal((uint)PciTestBed.Window32, _bed.Read(Slot, 0x10));
        Assert.Equal(0x0000_000Cu, _bed.Read(Slot, 0x18));
        Assert.Equal(0x10u, _bed.Read(Slot, 0x1C));
        Assert.Equal(0x1001u, _bed.Read(Slot, 0x20));
        Assert.Equal(0x3u, _bed.Read(Slot, 4, 2));
        Assert.Equal(0x11, ReadMmio(PciTestBed.Window32 + 0x3FFF));
        Assert.Equal(0x22, ReadMmio(PciTestBed.Window64));
        Assert.Equal(0x33, ReadPort(0x103F));
        Assert.Equal(0xFF, ReadPort(0x1040));
    }

    [Theory]
    [InlineData(0x10, 0xFFFF_C000)]
    [InlineData(0x18, 0xFFF0_000C)]
    [InlineData(0x1C, 0xFFFF_FFFF)]
    [InlineData(0x20, 0xFFFF_FFC1)]
    [InlineData(0x14, 0x0000_0000)]
    [InlineData(0x30, 0x0000_0000)]
    public void Sizing_AllOnes_ReadsSizeMask(int register, uint expected)
    {
        _bed.Write(Slot, 4, 0, 2);
        _bed.Write(Slot, register, 0xFFFF_FFFF);
        Assert.Equal(expected, _bed.Read(Slot, register));
    }

    [Fact]
    public void Sizing_DecodingStillOn_NothingDecodedUntilRestored()
    {
        _bed.Write(Slot, 0x10, 0xFFFF_FFFF);
        Assert.Null(_endpoint.Bars[0].Address);
        Assert.Equal(0xFF, ReadMmio(0xFFFF_C000));
        _bed.Write(Slot, 0x10, (uint)PciTestBed.Window32);
        Assert.Equal(0x11, ReadMmio(PciTestBed.Window32));
    }

    [Fact]
    public void Sizing_64BitHalves_NotDecodedBetween()
    {
        _bed.Write(Slot, 0x1C, 0xFFFF_FFFF);
        Assert.Null(_endpoint.Bars[1].Address);
        _bed.Write(Slot, 0x1C, 0x10);
        Assert.Equal(PciTestBed.Window64, _endpoint.Bars[1].Address);
    }

    [Fact]
    public void Command_MemoryOff_UnmapsMemoryOnly()
    {
        _bed.Write(Slot, 4, 1, 2);
        Assert.Equal(0xFF, ReadMmio(PciTestBed.Window32));
        Assert.Equal(0x33, ReadPort(0x1000));
        _bed.Write(Slot, 4, 2, 2);
        Assert.Equal(0x11, ReadMmio(PciTestBed.Window32));
        Assert.Equal(0xFF, ReadPort(0x1000));
    }

    [Fact]
    public void Move_ToOtherAddress_FollowsLiveAndTells()
    {
        var moves = new List<ulong?>();
        _endpoint.Bars[0].Moved = bar => moves.Add(bar.Address);
        _bed.Write(Slot, 0x10, 0xD000_0000);
        Assert.Equal(0xFF, ReadMmio(PciTestBed.Window32));
        Assert.Equal(0x11, ReadMmio(0xD000_0000));
        _bed.Write(Slot, 4, 0, 2);
        Assert.Equal([0xD000_0000UL, null], moves);
    }

    [Fact]
    public void Move_ByBytes_EndsWhereTheLastByteSays()
    {
        _bed.Write(Slot, 0x13, 0xD1, 1);
        _bed.Write(Slot, 0x12, 0x23, 1);
        Assert.Equal(0xD123_0000UL, _endpoint.Bars[0].Address);
    }

    [Fact]
    public void Move_OntoAnotherDevice_BlockedUntilItLeaves()
    {
        PciEndpoint other = PciTestBed.NewEndpoint("other");
        other.AddBar(new PciBar(0, PciBarKind.Memory32, 0x4000, new RecordingDevice(0x44)));
        _bed.Root.Attach(new Bdf(0, 4), other);
        ulong theirs = other.Bars[0].Address!.Value;
        _bed.Write(Slot, 0x10, (uint)theirs);
        Assert.Null(_endpoint.Bars[0].Address);
        Assert.Equal(0x44, ReadMmio(theirs));
        _bed.Write(new Bdf(0, 4), 0x10, 0xD800_0000);
        Assert.Equal(0x11, ReadMmio(theirs));
        Assert.Equal(0x44, ReadMmio(0xD800_0000));
    }

    [Fact]
    public void Move_OntoEcam_NeverDecoded()
    {
        _bed.Write(Slot, 0x10, (uint)PciTestBed.EcamStart);
        Assert.Null(_endpoint.Bars[0].Address);
        Assert.Equal(0x1042_1AF4u, _bed.ReadEcam(Slot, 0));
    }

    [Fact]
    public void Attach_IoWindowPartlyTaken_AllocatesAround()
    {
        _bed.Pio.Register(0x1050, 8, new RecordingDevice(1), "other");
        PciEndpoint other = PciTestBed.NewEndpoint("second");
        other.AddBar(new PciBar(0, 0x40, new RecordingDevice(2)));
        _bed.Root.Attach(new Bdf(0, 4), other);
        Assert.Equal(0x1080UL, other.Bars[0].Address);
    }

    [Fact]
    public void Attach_WindowFull_Throws()
    {
        PciEndpoint big = PciTestBed.NewEndpoint("big");
        big.AddBar(new PciBar(0, PciBarKind.Memory32, 0x4000_0000, new RecordingDevice(2)));
        Assert.Throws<InvalidOperationException>(() => _bed.Root.Attach(new Bdf(0, 5), big));
        Assert.Equal(0xFFFF_FFFFu, _bed.Read(new Bdf(0, 5), 0));
    }

    [Fact]
    public void AddBar_RegistersTaken_Throws()
    {
        Assert.Throws<ArgumentException>(() => _endpoint.AddBar(new PciBar(3, PciBarKind.Memory32, 0x1000, _memory)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PciBar(5, PciBarKind.Memory64, 0x1000, _memory));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PciBar(0, PciBarKind.Memory32, 0x1001, _memory));
    }

    [Fact]
    public void Access_ThroughTheBar_BoundedAndReachesDevice()
    {
        byte[] data = new byte[4];
        Assert.Equal(BusStatus.Ok, _endpoint.Bars[0].Read(0x3FFC, data));
        Assert.Equal(BusStatus.NoRegister, _endpoint.Bars[0].Read(0x3FFD, data));
        Assert.Equal(BusStatus.NoRegister, _endpoint.Bars[0].Write(ulong.MaxValue, data));
        Assert.Equal(["r4@16380"], _memory.Log);
    }

    [Fact]
    public void Reset_AfterMoves_BarsBackWhereFirmwarePutThem()
    {
        _bed.Write(Slot, 0x10, 0xD000_0000);
        _bed.Write(Slot, 4, 0, 2);
        _bed.Root.Reset();
        Assert.Equal(0x11, ReadMmio(PciTestBed.Window32));
        Assert.Equal(0x3u, _bed.Read(Slot, 4, 2));
    }

    [Fact]
    public void Regions_Parts_GetTheirOffsets()
    {
        var low = new RecordingDevice(1);
        var high = new RecordingDevice(2);
        PciBarRegions regions = new PciBarRegions().Add(0x1000, 0x1000, high).Add(0, 0x38, low);
        byte[] data = new byte[4];
        Assert.Equal(BusStatus.Ok, regions.Read(0x34, data));
        Assert.Equal(BusStatus.NoRegister, regions.Read(0x36, data));
        Assert.Equal(BusStatus.NoRegister, regions.Read(0x38, data));
        Assert.Equal(BusStatus.Ok, regions.Write(0x1004, data));
        Assert.Equal(["r4@52"], low.Log);
        Assert.Equal(["w4@4=01010101"], high.Log);
        Assert.Equal(0x2000UL, regions.Length);
        Assert.Throws<ArgumentException>(() => regions.Add(0x1FFF, 2, low));
    }

    private byte ReadMmio(ulong address)
    {
        byte[] data = new byte[1];
        _bed.Mmio.Read(address, data);
        return data[0];
    }

    private byte ReadPort(ushort port)
    {
        byte[] data = new byte[1];
        _bed.Pio.In(port, data);
        return data[0];
    }
}
