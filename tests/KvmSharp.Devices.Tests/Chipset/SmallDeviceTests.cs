using System.Text;
using KvmSharp.Core.Buses;
using KvmSharp.Core.Fabric;
using KvmSharp.Devices.Chipset;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Chipset;

public sealed class SmallDeviceTests
{
    private readonly FakeMachineControl _machine = new();

    [Theory]
    [InlineData(1, 0x01, 3)]
    [InlineData(1, 0xFF, 511)]
    [InlineData(2, 0x100, 513)]
    [InlineData(4, 0x10, 33)]
    [InlineData(4, -1, -1)]
    public void DebugExit_Write_ShiftsAndSetsBit0(int width, int value, int status)
    {
        new DebugExit(_machine).Out(0, BitConverter.GetBytes(value).AsSpan(0, width));
        Assert.Equal([status], _machine.Exits);
    }

    [Fact]
    public void DebugConsole_Backend_OutputAndPresence()
    {
        var backend = new FakeCharBackend();
        var console = new DebugConsole(backend);
        console.Out8(0, 'o');
        console.Out16(0, 'k' | ('!' << 8));
        Assert.Equal("ok!", backend.OutputText);
        Assert.Equal(0xE9, console.In8(0));
    }

    [Fact]
    public void DebugConsole_Stream_OutputSurvivesClosedStream()
    {
        var stream = new MemoryStream();
        var console = new DebugConsole(stream);
        console.Out8(0, 'a');
        stream.Dispose();
        console.Out8(0, 'b');
        console.Out8(0, 'c');
        Assert.Equal("a", Encoding.ASCII.GetString(stream.ToArray()));
    }

    [Fact]
    public void ResetControl_ResetCpu_Resets()
    {
        var reset = new ResetControl(_machine);
        reset.Out8(0, 0x02);
        Assert.Equal(0x02, reset.In8(0));
        Assert.Empty(_machine.Requests);
        reset.Out8(0, 0x06);
        Assert.Equal([MachineRequest.Reset], _machine.Requests);
        Assert.Equal(0x02, reset.In8(0));
    }

    [Fact]
    public void SystemControlA_FastReset_Resets()
    {
        var port = new SystemControlA(_machine);
        Assert.Equal(0x02, port.In8(0));
        port.Out8(0, 0x00);
        Assert.Equal(0x00, port.In8(0));
        Assert.Empty(_machine.Requests);
        port.Out8(0, 0x03);
        Assert.Equal([MachineRequest.Reset], _machine.Requests);
    }

    [Fact]
    public void SystemControlB_Reads_RefreshTogglesAndOutputFollowsGate()
    {
        var port = new SystemControlB();
        byte first = port.In8(0);
        byte second = port.In8(0);
        Assert.Equal(0x10, first ^ second);
        Assert.Equal(0, first & 0x20);
        port.Out8(0, 0xF1);
        Assert.Equal(0x21, port.In8(0) & 0x2F);
    }

    [Fact]
    public void Fuzz_RandomAccesses_NeverThrow()
    {
        DeviceFuzz.Pio(new ResetControl(_machine), 1, 7);
        DeviceFuzz.Pio(new SystemControlA(_machine), 1, 8);
        DeviceFuzz.Pio(new SystemControlB(), 1, 9);
        DeviceFuzz.Pio(new DebugExit(_machine), DebugExit.PortCount, 10);
        DeviceFuzz.Pio(new DebugConsole(new FakeCharBackend()), 1, 11);
    }

    [Fact]
    public void ByteRegisters_WideAccess_Refused()
    {
        Assert.Equal(BusStatus.BadSize, new ResetControl(_machine).Out(0, [6, 6]));
        Assert.Equal(BusStatus.BadSize, new SystemControlA(_machine).Out(0, [1, 1]));
        Assert.Equal(BusStatus.BadSize, new SystemControlB().In(0, new byte[2]));
        Assert.Empty(_machine.Requests);
    }
}
