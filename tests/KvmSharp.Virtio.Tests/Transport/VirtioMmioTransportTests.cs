namespace KvmSharp.Virtio.Tests.Transport;

public sealed class VirtioMmioTransportTests
{
    [Fact]
    public void Registers_Identity_IsVersion2()
    {
        using TransportBed bed = new(pci: false);

        Assert.Equal(0x7472_6976u, bed.MmioDriver.ReadRegister(0));
        Assert.Equal(2u, bed.MmioDriver.ReadRegister(4));
        Assert.Equal(42u, bed.MmioDriver.ReadRegister(8));
        Assert.Equal(uint.MaxValue, bed.MmioDriver.ReadRegister(0xb0));
        Assert.Equal(9u, bed.Mmio!.Gsi);
    }

    [Fact]
    public void SignalQueue_Line_StaysUpUntilAllIsAcknowledged()
    {
        using TransportBed bed = new(pci: false);
        bed.Start();

        bed.Recorder.Context!.Interrupt.SignalQueue(0);
        bed.Recorder.Context.Interrupt.SignalConfig();
        Assert.Equal(3u, bed.MmioDriver.InterruptStatus);
        bed.MmioDriver.AcknowledgeInterrupt(1);
        Assert.True(bed.Interrupts.Line(9).Level);
        bed.MmioDriver.AcknowledgeInterrupt(2);

        Assert.False(bed.Interrupts.Line(9).Level);
        Assert.Equal(0u, bed.MmioDriver.InterruptStatus);
    }

    [Fact]
    public void QueueReady_WrittenZero_TakesTheQueueBack()
    {
        using TransportBed bed = new(pci: false);
        bed.Start();

        bed.Driver.Write(TransportBed.MmioAddress + 0x30, 0, 4);
        bed.Driver.Write(TransportBed.MmioAddress + 0x44, 0, 4);

        Assert.Empty(bed.Recorder.Running);
        Assert.False(bed.Driver.IsEnabled(0));
    }

    [Fact]
    public void Register_NotFourBytes_IsRefused()
    {
        using TransportBed bed = new(pci: false);

        Assert.Equal(0xffu, bed.Driver.Read(TransportBed.MmioAddress, 1));
    }
}
