using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Chipset;

public sealed class I8042Tests
{
    private readonly FakeMachineControl _machine = new();
    private readonly FakeIrqLine _irq = new(1);
    private readonly I8042 _controller;

    public I8042Tests() => _controller = new I8042(_machine, _irq);

    [Fact]
    public void Status_Idle_NothingToReadAndNeverBusy() => Assert.Equal(0x14, _controller.CommandPort.In8(0));

    [Theory]
    [InlineData(0xFE)]
    [InlineData(0xF0)]
    public void Command_PulseBit0_Resets(int command)
    {
        _controller.CommandPort.Out8(0, command);
        Assert.Equal([MachineRequest.Reset], _machine.Requests);
    }

    [Fact]
    public void Command_PulseWithoutBit0_DoesNotReset()
    {
        _controller.CommandPort.Out8(0, 0xFF);
        Assert.Empty(_machine.Requests);
    }

    [Theory]
    [InlineData(0xAA, 0x55)]
    [InlineData(0xAB, 0x00)]
    [InlineData(0xA9, 0x01)]
    [InlineData(0x20, 0x44)]
    [InlineData(0xC0, 0xBF)]
    [InlineData(0xD0, 0xCF)]
    public void Command_Query_AnsweredAtOnce(int command, int answer)
    {
        _controller.CommandPort.Out8(0, command);
        Assert.Equal(0x01, _controller.CommandPort.In8(0) & 0x21);
        Assert.Equal(answer, _controller.DataPort.In8(0));
        Assert.Equal(0x00, _controller.CommandPort.In8(0) & 0x01);
    }

    [Fact]
    public void CommandByte_Written_ReadsBack()
    {
        _controller.CommandPort.Out8(0, 0x60);
        _controller.DataPort.Out8(0, 0x47);
        Assert.Equal(0x47, Query(0x20));
    }

    [Fact]
    public void CommandByte_PortsDisabledAndEnabled_BitsFollow()
    {
        _controller.CommandPort.Out8(0, 0xAD);
        _controller.CommandPort.Out8(0, 0xA7);
        Assert.Equal(0x74, Query(0x20));
        _controller.CommandPort.Out8(0, 0xAE);
        _controller.CommandPort.Out8(0, 0xA8);
        Assert.Equal(0x44, Query(0x20));
    }

    [Fact]
    public void AuxLoop_NoSecondPort_ComesBackUnmarked()
    {
        _controller.CommandPort.Out8(0, 0xD3);
        _controller.DataPort.Out8(0, 0x5A);
        Assert.Equal(0x01, _controller.CommandPort.In8(0) & 0x21);
        Assert.Equal(0x5A, _controller.DataPort.In8(0));
    }

    [Fact]
    public void Data_NoKeyboard_ResendWithTimeout()
    {
        _controller.DataPort.Out8(0, 0xF2);
        Assert.Equal(0x41, _controller.CommandPort.In8(0) & 0x41);
        Assert.Equal(0xFE, _controller.DataPort.In8(0));
        Assert.Equal(0x00, _controller.CommandPort.In8(0) & 0x41);
    }

    [Fact]
    public void Data_InterruptEnabled_LineFollowsOutputBuffer()
    {
        _controller.CommandPort.Out8(0, 0x60);
        _controller.DataPort.Out8(0, 0x45);
        _controller.DataPort.Out8(0, 0xF2);
        Assert.True(_irq.Level);
        _controller.DataPort.In8(0);
        Assert.False(_irq.Level);
    }

    [Fact]
    public void OutputPort_ResetBitClear_Resets()
    {
        _controller.CommandPort.Out8(0, 0xD1);
        _controller.DataPort.Out8(0, 0xFE);
        Assert.Equal([MachineRequest.Reset], _machine.Requests);
    }

    [Fact]
    public void Fuzz_RandomAccesses_NeverThrows()
    {
        DeviceFuzz.Pio(_controller.CommandPort, 1, 5);
        DeviceFuzz.Pio(_controller.DataPort, 1, 6);
    }

    private byte Query(int command)
    {
        _controller.CommandPort.Out8(0, command);
        return _controller.DataPort.In8(0);
    }
}
