using KvmSharp.Core.Buses;
using KvmSharp.Devices.Pci;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Pci;

public sealed class PciInterruptTests : IDisposable
{
    private const ulong Msix = PciTestBed.Window32;
    private static readonly Bdf Slot = new(0, 3);
    private readonly PciTestBed _bed = new();
    private readonly PciEndpoint _endpoint = PciTestBed.NewEndpoint();
    private readonly MsixTable _msix;
    private readonly int _capability;

    public PciInterruptTests()
    {
        _msix = new MsixTable(_bed.Interrupts, 3);
        _endpoint.AddBar(new PciBar(0, PciBarKind.Memory32, 0x1000,
            new PciBarRegions().Add(0, (ulong)_msix.TableLength, _msix.Table).Add(0x800, (ulong)_msix.PendingLength, _msix.PendingBits)));
        _endpoint.AddMsix(_msix, 0, 0, 0x800);
        _endpoint.AddIntx();
        _bed.Root.Attach(Slot, _endpoint);
        _capability = (int)_bed.Read(Slot, 0x34, 1);
    }

    public void Dispose()
    {
        _bed.Dispose();
        _endpoint.Dispose();
    }

    [Fact]
    public void Capability_Msix_DescribesTableAndPendingBits()
    {
        Assert.Equal(0x0002_0011u, _bed.Read(Slot, _capability));
        Assert.Equal(0u, _bed.Read(Slot, _capability + 4));
        Assert.Equal(0x800u, _bed.Read(Slot, _capability + 8));
        _bed.Write(Slot, _capability, 0xFFFF_FFFF);
        Assert.Equal(0xC002_0011u, _bed.Read(Slot, _capability));
        Assert.True(_msix.IsEnabled);
    }

    [Fact]
    public void Vector_ProgrammedAndUnmasked_DeliversItsMessage()
    {
        Program(1, 0xFEE0_1000, 0x4021, masked: false);
        Control(0x8000);
        _msix.Signal(1);
        FakeMsiVector vector = _bed.Interrupts.Vectors[1];
        Assert.Equal(1, vector.Delivered);
        Assert.Equal(0xFEE0_1000UL, vector.Address);
        Assert.Equal(0x4021u, vector.Data);
        Assert.True(_bed.Interrupts.Vectors[0].Masked);
    }

    [Fact]
    public void Vector_Masked_PendingThenFiresOnUnmask()
    {
        Program(2, 0xFEE0_0000, 0x30, masked: true);
        Control(0x8000);
        _msix.Signal(2);
        Assert.Equal(0, _bed.Interrupts.Vectors[2].Delivered);
        Assert.Equal(0x04u, Read(0x800));
        WriteTable((2 * 16) + 12, 0);
        Assert.Equal(1, _bed.Interrupts.Vectors[2].Delivered);
        Assert.Equal(0x00u, Read(0x800));
    }

    [Fact]
    public void FunctionMask_Set_HoldsAllVectors()
    {
        Program(0, 0xFEE0_0000, 0x30, masked: false);
        Control(0xC000);
        _msix.Signal(0);
        Assert.Equal(0, _bed.Interrupts.Vectors[0].Delivered);
        Assert.Equal(0x01u, Read(0x800));
        Control(0x8000);
        Assert.Equal(1, _bed.Interrupts.Vectors[0].Delivered);
    }

    [Fact]
    public void Table_AfterReset_MaskedAndReadsBack()
    {
        Assert.Equal(1u, Read(12));
        Program(0, 0xFEE0_0007, 0x1234_5678, masked: false);
        Assert.Equal(0xFEE0_0007u, Read(0));
        Assert.Equal(0x1234_5678u, Read(8));
        WriteTable(12, 0xFFFF_FFFE);
        Assert.Equal(0u, Read(12));
    }

    [Fact]
    public void Table_MessageChangedWhileMasked_OneRouteUpdate()
    {
        Program(0, 0xFEE0_0000, 0x30, masked: false);
        Control(0x8000);
        Assert.Equal(1, _bed.Interrupts.Vectors[0].MessageUpdates);
        Program(0, 0xFEE0_2000, 0x31, masked: true);
        Assert.Equal(1, _bed.Interrupts.Vectors[0].MessageUpdates);
        WriteTable(12, 0);
        Assert.Equal(2, _bed.Interrupts.Vectors[0].MessageUpdates);
        Control(0x8000);
        WriteTable(12, 0);
        Assert.Equal(2, _bed.Interrupts.Vectors[0].MessageUpdates);
    }

    [Fact]
    public void Table_NarrowOrUnalignedWrites_Refused()
    {
        Assert.Equal(BusStatus.BadSize, _msix.Table.Write(0, [1]));
        Assert.Equal(BusStatus.Unaligned, _msix.Table.Write(2, new byte[4]));
        Assert.Equal(BusStatus.NoRegister, _msix.Table.Write(44, new byte[8]));
        Assert.Equal(BusStatus.NoRegister, _msix.Table.Read(ulong.MaxValue, new byte[1]));
    }

    [Fact]
    public void Signal_VectorOutsideTable_Ignored()
    {
        _msix.Signal(0xFFFF);
        _msix.Signal(-1);
        Assert.Null(_msix.GetTrigger(3));
        Assert.NotNull(_msix.GetTrigger(2));
    }

    [Fact]
    public void Reset_PendingVector_NotDeliveredAfterwards()
    {
        Control(0x8000);
        _msix.Signal(0);
        _bed.Root.Reset();
        Assert.False(_msix.IsEnabled);
        Program(0, 0xFEE0_0000, 0x30, masked: false);
        Control(0x8000);
        Assert.Equal(0, _bed.Interrupts.Vectors[0].Delivered);
    }

    [Fact]
    public void Signal_ManyTimes_AllocatesNothing()
    {
        Program(0, 0xFEE0_0000, 0x30, masked: false);
        Control(0x8000);
        _msix.Signal(0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            _msix.Signal(0);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData(0, 1, 16u)]
    [InlineData(3, 1, 19u)]
    [InlineData(3, 2, 16u)]
    [InlineData(5, 4, 16u)]
    [InlineData(31, 3, 17u)]
    public void Router_SlotAndPin_Swizzled(int device, int pin, uint gsi) =>
        Assert.Equal(gsi, _bed.Router.Connect(new Bdf(0, device), pin).Gsi);

    [Fact]
    public void Intx_TwoPinsOnOneLine_WiredOr()
    {
        PciIntxPin other = _bed.Router.Connect(new Bdf(0, 7), 1);
        _endpoint.Intx!.SetLevel(true);
        other.SetLevel(true);
        other.SetLevel(true);
        _endpoint.Intx.SetLevel(false);
        Assert.True(_bed.Interrupts.Line(19).Level);
        other.SetLevel(false);
        Assert.False(_bed.Interrupts.Line(19).Level);
    }

    [Fact]
    public void Intx_InterruptDisable_HoldsLineAndKeepsStatus()
    {
        _endpoint.Intx!.SetLevel(true);
        Assert.Equal(0x18u, _bed.Read(Slot, 6, 1));
        _bed.Write(Slot, 4, 0x402, 2);
        Assert.False(_bed.Interrupts.Line(19).Level);
        Assert.Equal(0x18u, _bed.Read(Slot, 6, 1));
        _bed.Write(Slot, 4, 0x002, 2);
        Assert.True(_bed.Interrupts.Line(19).Level);
        _endpoint.Intx.SetLevel(false);
        Assert.Equal(0x10u, _bed.Read(Slot, 6, 1));
    }

    [Fact]
    public void Intx_Registers_PinAndLine()
    {
        Assert.Equal(0x01u, _bed.Read(Slot, 0x3D, 1));
        Assert.Equal(19u, _bed.Read(Slot, 0x3C, 1));
    }

    [Fact]
    public void Table_RandomAccesses_NeverThrows()
    {
        Control(0x8000);
        Support.DeviceFuzz.Mmio(_msix.Table, (ulong)_msix.TableLength, 31);
        Support.DeviceFuzz.Mmio(_msix.PendingBits, (ulong)_msix.PendingLength, 32);
    }

    private void Program(int vector, uint address, uint data, bool masked)
    {
        WriteTable((vector * 16) + 12, 1);
        WriteTable(vector * 16, address);
        WriteTable((vector * 16) + 4, 0);
        WriteTable((vector * 16) + 8, data);
        WriteTable((vector * 16) + 12, masked ? 1u : 0u);
    }

    private void Control(ushort value) => _bed.Write(Slot, _capability + 2, value, 2);

    private uint Read(int offset)
    {
        byte[] data = new byte[4];
        _bed.Mmio.Read(Msix + (uint)offset, data);
        return BitConverter.ToUInt32(data);
    }

    private void WriteTable(int offset, uint value) => _bed.Mmio.Write(Msix + (uint)offset, BitConverter.GetBytes(value));
}
