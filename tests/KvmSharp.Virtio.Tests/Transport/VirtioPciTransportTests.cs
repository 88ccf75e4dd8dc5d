using System.Buffers.Binary;
using KvmSharp.Devices.Pci;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Transport;

namespace KvmSharp.Virtio.Tests.Transport;

public sealed class VirtioPciTransportTests
{
    [Fact]
    public void Function_Identity_IsModernVirtio()
    {
        using TransportBed bed = new(pci: true);
        PciConfigSpace config = bed.Pci!.Function.Config;

        Assert.Equal(0x1af4, config.Get16(0));
        Assert.Equal(0x1040 + 42, config.Get16(2));
        Assert.Equal(1, config.Get8(8));
        Assert.Equal(2, config.Get8(11));
        Assert.NotEqual(0UL, bed.PciDriver.Common);
        Assert.NotEqual(0UL, bed.PciDriver.Notify);
        Assert.NotEqual(0UL, bed.PciDriver.Isr);
        Assert.NotEqual(0UL, bed.PciDriver.Device);
        Assert.NotEqual(0, bed.PciDriver.Window);
    }

    [Fact]
    public void SignalQueue_Msix_DeliversTheQueuesVector()
    {
        using TransportBed bed = new(pci: true);
        bed.PciDriver.EnableMsix();
        bed.PciDriver.QueueVector = 1;
        bed.Start();
        bed.PciDriver.ConfigVector = 2;

        bed.Recorder.Context!.Interrupt.SignalQueue(0);
        Assert.Equal(1, bed.Interrupts.Vectors[1].Delivered);
        bed.Recorder.Context.Interrupt.SignalConfig();

        Assert.Equal(1, bed.Interrupts.Vectors[1].Delivered);
        Assert.Equal(1, bed.Interrupts.Vectors[2].Delivered);
        Assert.Equal(0u, bed.Driver.Read(bed.PciDriver.Isr, 1));
        Assert.Same(bed.Interrupts.Vectors[1].Trigger, bed.Recorder.Context.Interrupt.GetQueueEventFd(0));
    }

    [Fact]
    public void SignalQueue_IrqFdOff_SendsTheMessageUnlessMasked()
    {
        using TransportBed bed = new(pci: true, new VirtioTransportOptions { IrqFd = false });
        bed.PciDriver.QueueVector = 1;
        bed.Start();
        IVirtioInterrupt interrupt = bed.Recorder.Context!.Interrupt;
        bed.PciDriver.EnableMsix();
        interrupt.SignalQueue(0);
        Assert.Equal((0xfee0_0000UL, 0x41u), Assert.Single(bed.Interrupts.SentMessages));

        ulong table = bed.PciDriver.Common + 0x8000;
        bed.Driver.Write(table + 16 + 12, 1, 4);
        interrupt.SignalQueue(0);
        interrupt.SignalQueue(0);
        Assert.Single(bed.Interrupts.SentMessages);
        Assert.Equal(2u, bed.Driver.Read(bed.PciDriver.Common + 0x7000, 4));
        bed.Driver.Write(table + 16 + 12, 0, 4);

        Assert.Equal(2, bed.Interrupts.SentMessages.Count);
        Assert.Equal(0u, bed.Driver.Read(bed.PciDriver.Common + 0x7000, 4));
        Assert.Null(interrupt.GetQueueEventFd(0));
    }

    [Fact]
    public void SignalQueue_NoVector_DeliversNothing()
    {
        using TransportBed bed = new(pci: true);
        bed.PciDriver.EnableMsix();
        bed.Start();

        bed.Recorder.Context!.Interrupt.SignalQueue(0);

        Assert.All(bed.Interrupts.Vectors, vector => Assert.Equal(0, vector.Delivered));
        Assert.Null(bed.Recorder.Context.Interrupt.GetQueueEventFd(0));
    }

    [Fact]
    public void Vector_OutsideTheTable_ReadsBackAsNone()
    {
        using TransportBed bed = new(pci: true);

        bed.PciDriver.ConfigVector = 3;
        Assert.Equal(0xffff, bed.PciDriver.ConfigVector);
        bed.PciDriver.ConfigVector = 2;
        Assert.Equal(2, bed.PciDriver.ConfigVector);
    }

    [Fact]
    public void SignalQueue_WithoutMsix_RaisesThePinUntilIsrIsRead()
    {
        using TransportBed bed = new(pci: true);
        bed.Start();
        uint gsi = bed.Pci!.Function.Intx!.Gsi;

        bed.Recorder.Context!.Interrupt.SignalQueue(0);
        Assert.True(bed.Interrupts.Line(gsi).Level);
        bed.Recorder.Context.Interrupt.SignalConfig();

        Assert.Equal(3u, bed.Driver.Read(bed.PciDriver.Isr, 1));
        Assert.False(bed.Interrupts.Line(gsi).Level);
        Assert.Equal(0u, bed.Driver.Read(bed.PciDriver.Isr, 1));
    }

    [Fact]
    public void Reset_WithPinRaised_LowersItAndForgetsVectors()
    {
        using TransportBed bed = new(pci: true);
        bed.PciDriver.QueueVector = 1;
        bed.Start();
        bed.Recorder.Context!.Interrupt.SignalQueue(0);

        bed.Driver.Status = 0;

        Assert.False(bed.Interrupts.Line(bed.Pci!.Function.Intx!.Gsi).Level);
        Assert.Equal(0xffff, bed.PciDriver.GetVector(0));
    }

    [Fact]
    public void Bar_Moved_TakesTheDoorbellsAlong()
    {
        using TransportBed bed = new(pci: true);
        bed.Start();
        (ulong before, uint length, uint value) = bed.Driver.GetNotification(0);
        Span<byte> address = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(address, 0xd800_0000);

        Config(bed, PciRegisters.Command, [0, 0]);
        Assert.Equal(0, bed.Doorbells.Count);
        Config(bed, PciRegisters.Bar0, address);
        Config(bed, PciRegisters.Bar0 + 4, [0, 0, 0, 0]);
        Config(bed, PciRegisters.Command, [6, 0]);

        Assert.Equal(1, bed.Doorbells.Count);
        Assert.False(bed.Doorbells.Ring(before, length, value));
        VirtioPciDriver moved = new(bed.Bus, bed.Pci!.Function);
        Assert.True(bed.Doorbells.Ring(moved.Notify, length, value));
    }

    [Fact]
    public void ConfigWindow_ReadsAndWritesTheBar()
    {
        using TransportBed bed = new(pci: true);
        int window = bed.PciDriver.Window;
        Config(bed, window + 4, [0]);
        Config(bed, window + 8, [20, 0, 0, 0]);
        Config(bed, window + 12, [1, 0, 0, 0]);

        Config(bed, window + 16, [3, 0, 0, 0]);

        Assert.Equal(3, bed.Driver.Status);
        byte[] data = new byte[4];
        ReadConfig(bed, window + 16, data);
        Assert.Equal([3, 0, 0, 0], data);
        Config(bed, window + 8, [0, 0, 0xff, 0xff]);
        ReadConfig(bed, window + 16, data);
        Assert.Equal([0xff, 0xff, 0xff, 0xff], data);
    }

    [Fact]
    public void Common_WrongWidth_IsRefused()
    {
        using TransportBed bed = new(pci: true);

        bed.Driver.Write(bed.PciDriver.Common + 20, 0x0101, 2);

        Assert.Equal(0, bed.Driver.Status);
        Assert.Equal(0xffffu, bed.Driver.Read(bed.PciDriver.Common + 20, 2));
    }

    private static void Config(TransportBed bed, int offset, ReadOnlySpan<byte> data)
    {
        Span<byte> ecam = stackalloc byte[data.Length];
        data.CopyTo(ecam);
        bed.Root!.Ecam.Write(((ulong)bed.Address.Value << 12) + (uint)offset, ecam);
    }

    private static void ReadConfig(TransportBed bed, int offset, Span<byte> data) =>
        bed.Root!.Ecam.Read(((ulong)bed.Address.Value << 12) + (uint)offset, data);
}
