using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Chipset;

public sealed class Serial16550Tests : IDisposable
{
    private const int Data = 0;
    private const int Ier = 1;
    private const int Iir = 2;
    private const int Fcr = 2;
    private const int Lcr = 3;
    private const int Mcr = 4;
    private const int Lsr = 5;
    private const int Msr = 6;
    private const int Scr = 7;

    private readonly FakeCharBackend _backend = new();
    private readonly FakeIrqLine _irq = new(4);
    private readonly Serial16550 _uart;

    public Serial16550Tests() => _uart = new Serial16550(_backend, _irq);

    public void Dispose() => _uart.Dispose();

    [Fact]
    public void Thr_Write_GoesToBackendAndTransmitterStaysEmpty()
    {
        _uart.Out8(Data, 'H');
        _uart.Out8(Data, 'i');
        Assert.Equal("Hi", _backend.OutputText);
        Assert.Equal(0x60, _uart.In8(Lsr));
    }

    [Fact]
    public void Ier_Write_KeepsLowFourBits()
    {
        _uart.Out8(Ier, 0xFF);
        Assert.Equal(0x0F, _uart.In8(Ier));
    }

    [Fact]
    public void Iir_FifoEnabled_IdentifiesAs16550A()
    {
        Assert.Equal(0x01, _uart.In8(Iir));
        _uart.Out8(Fcr, 0x01);
        Assert.Equal(0xC1, _uart.In8(Iir));
        _uart.Out8(Fcr, 0x00);
        Assert.Equal(0x01, _uart.In8(Iir));
    }

    [Fact]
    public void Dlab_Set_DivisorLatchReplacesDataAndIer()
    {
        _uart.Out8(Ier, 0x05);
        _uart.Out8(Lcr, 0x83);
        _uart.Out8(0, 0x34);
        _uart.Out8(1, 0x12);
        Assert.Equal(0x34, _uart.In8(0));
        Assert.Equal(0x12, _uart.In8(1));
        _uart.Out8(Lcr, 0x03);
        Assert.Equal(0x05, _uart.In8(Ier));
        Assert.Equal(0x03, _uart.In8(Lcr));
        Assert.Empty(_backend.Output);
    }

    [Fact]
    public void Scr_Write_ReadsBack()
    {
        _uart.Out8(Scr, 0xA5);
        Assert.Equal(0xA5, _uart.In8(Scr));
    }

    [Fact]
    public void Msr_Idle_ConnectedWithoutDeltas() => Assert.Equal(0xB0, _uart.In8(Msr));

    [Fact]
    public void Mcr_Loopback_ModemLinesFollowMcr()
    {
        _uart.Out8(Mcr, 0x1A);
        Assert.Equal(0x90, _uart.In8(Msr) & 0xF0);
        _uart.Out8(Mcr, 0x15);
        Assert.Equal(0x60, _uart.In8(Msr) & 0xF0);
    }

    [Fact]
    public void Msr_Read_ClearsDeltas()
    {
        _uart.Out8(Mcr, 0x10);
        Assert.Equal(0x0B, _uart.In8(Msr));
        Assert.Equal(0x00, _uart.In8(Msr));
    }

    [Fact]
    public void Msr_RingFalls_TrailingEdgeReported()
    {
        _uart.Out8(Mcr, 0x14);
        Assert.Equal(0, _uart.In8(Msr) & 0x04);
        _uart.Out8(Mcr, 0x10);
        Assert.Equal(0x04, _uart.In8(Msr) & 0x04);
    }

    [Fact]
    public void Mcr_Loopback_DataComesBackAndNotOut()
    {
        _uart.Out8(Fcr, 0x01);
        _uart.Out8(Mcr, 0x10);
        _uart.Out8(Data, 0x5A);
        Assert.Equal(0x61, _uart.In8(Lsr));
        Assert.Equal(0x5A, _uart.In8(Data));
        Assert.Empty(_backend.Output);
        Assert.Equal(0, ((KvmSharp.Core.Chars.ICharFrontend)_uart).Capacity);
    }

    [Fact]
    public void ThreInterrupt_EnabledWhileEmpty_RaisedAndAcknowledgedByIir()
    {
        _uart.Out8(Ier, 0x02);
        Assert.True(_irq.Level);
        Assert.Equal(0x02, _uart.In8(Iir));
        Assert.False(_irq.Level);
        Assert.Equal(0x01, _uart.In8(Iir));
    }

    [Fact]
    public void ThreInterrupt_AfterWrite_RaisedAgain()
    {
        _uart.Out8(Ier, 0x02);
        _uart.In8(Iir);
        _uart.Out8(Data, 'x');
        Assert.True(_irq.Level);
        Assert.Equal(0x02, _uart.In8(Iir));
    }

    [Fact]
    public void ThreInterrupt_LinuxTest_SecondEnableSeenAgain()
    {
        // drivers/tty/serial/8250/8250_port.c, the THRE test at start-up.
        _uart.Out8(Ier, 0x02);
        byte first = _uart.In8(Iir);
        _uart.Out8(Ier, 0x00);
        _uart.Out8(Ier, 0x02);
        byte second = _uart.In8(Iir);
        Assert.Equal(0, first & 1);
        Assert.Equal(0, second & 1);
    }

    [Fact]
    public void Receive_InterruptEnabled_ReportsTimeoutBelowTrigger()
    {
        _uart.Out8(Fcr, 0x81);
        _uart.Out8(Ier, 0x01);
        Assert.Equal(3, _backend.Feed("abc"u8));
        Assert.True(_irq.Level);
        Assert.Equal(0xCC, _uart.In8(Iir));
        Assert.Equal(0x61, _uart.In8(Lsr));
        Assert.Equal((byte)'a', _uart.In8(Data));
        Assert.Equal((byte)'b', _uart.In8(Data));
        Assert.Equal((byte)'c', _uart.In8(Data));
        Assert.Equal(0x60, _uart.In8(Lsr));
        Assert.False(_irq.Level);
    }

    [Theory]
    [InlineData(0x01, 1)]
    [InlineData(0x41, 4)]
    [InlineData(0x81, 8)]
    [InlineData(0xC1, 14)]
    public void Receive_AtTriggerLevel_ReportsDataAvailable(int fcr, int level)
    {
        _uart.Out8(Fcr, fcr);
        _uart.Out8(Ier, 0x01);
        _backend.Feed(new byte[level]);
        Assert.Equal(0xC4, _uart.In8(Iir));
    }

    [Fact]
    public void Receive_FifoFull_OverrunKeepsOldBytes()
    {
        _uart.Out8(Fcr, 0x01);
        _uart.Out8(Ier, 0x04);
        byte[] data = [.. Enumerable.Range(1, 17).Select(i => (byte)i)];
        _backend.Frontend!.Receive(data);
        Assert.Equal(0xC6, _uart.In8(Iir));
        Assert.Equal(0x63, _uart.In8(Lsr));
        Assert.Equal(0x61, _uart.In8(Lsr));
        for (int i = 1; i <= 16; i++)
            Assert.Equal(i, _uart.In8(Data));
        Assert.Equal(0x60, _uart.In8(Lsr));
    }

    [Fact]
    public void Receive_NoFifo_OverrunOverwrites()
    {
        _backend.Frontend!.Receive([1, 2]);
        Assert.Equal(0x63, _uart.In8(Lsr));
        Assert.Equal(2, _uart.In8(Data));
    }

    [Fact]
    public void ReceiveBreak_BehindAByte_ShownWhenNext()
    {
        _uart.Out8(Fcr, 0x01);
        _uart.Out8(Ier, 0x05);
        _backend.Feed("a"u8);
        _uart.ReceiveBreak();
        Assert.Equal(0xE1, _uart.In8(Lsr));
        _uart.In8(Data);
        Assert.Equal(0xC6, _uart.In8(Iir));
        Assert.Equal(0xF1, _uart.In8(Lsr));
        Assert.Equal(0, _uart.In8(Data));
        Assert.Equal(0x60, _uart.In8(Lsr));
    }

    [Fact]
    public void Iir_SeveralSources_PrioritisedAsDocumented()
    {
        _uart.Out8(Fcr, 0x01);
        _uart.Out8(Ier, 0x0F);
        _backend.Frontend!.Receive(new byte[17]);
        _uart.Out8(Mcr, 0x10);
        Assert.Equal(0xC6, _uart.In8(Iir));
        _uart.In8(Lsr);
        Assert.Equal(0xC4, _uart.In8(Iir));
        _uart.Out8(Fcr, 0x03);
        Assert.Equal(0xC2, _uart.In8(Iir));
        Assert.Equal(0xC0, _uart.In8(Iir));
        _uart.In8(Msr);
        Assert.Equal(0xC1, _uart.In8(Iir));
        Assert.False(_irq.Level);
    }

    [Fact]
    public void Fcr_ClearReceive_EmptiesFifo()
    {
        _uart.Out8(Fcr, 0x01);
        _backend.Feed("abc"u8);
        _uart.Out8(Fcr, 0x03);
        Assert.Equal(0x60, _uart.In8(Lsr));
    }

    [Fact]
    public void Capacity_FollowsFifo_AndBackendHearsOfRoom()
    {
        Assert.Equal(1, _backend.Frontend!.Capacity);
        _uart.Out8(Fcr, 0x01);
        int before = _backend.ReadyCalls;
        Assert.Equal(16, _backend.Feed(new byte[40]));
        Assert.Equal(0, _backend.Frontend.Capacity);
        for (int i = 0; i < 15; i++)
            _uart.In8(Data);
        Assert.Equal(before, _backend.ReadyCalls);
        _uart.In8(Data);
        Assert.Equal(before + 1, _backend.ReadyCalls);
        Assert.Equal(16, _backend.Frontend.Capacity);
    }

    [Fact]
    public void In_Wide_ReadsConsecutiveRegisters()
    {
        _uart.Out16(3, 0x0B03);
        Assert.Equal(0x0B03, _uart.In16(3));
        Assert.Equal(0x0B, _uart.In8(Mcr));
    }

    [Fact]
    public void Reset_AfterUse_RegistersAndLineBack()
    {
        _uart.Out8(Ier, 0x02);
        _uart.Out8(Scr, 1);
        _uart.Reset();
        Assert.False(_irq.Level);
        Assert.Equal(0, _uart.In8(Ier));
        Assert.Equal(0, _uart.In8(Scr));
    }

    [Fact]
    public void Fuzz_RandomAccesses_NeverThrows()
    {
        DeviceFuzz.Pio(_uart, Serial16550.PortCount, 1);
        var random = new Random(2);
        for (int i = 0; i < 2000; i++)
        {
            _backend.Frontend!.Receive(new byte[random.Next(20)]);
            DeviceFuzz.Pio(_uart, Serial16550.PortCount, i, 10);
            Assert.InRange(_backend.Frontend.Capacity, 0, 16);
        }
    }
}
