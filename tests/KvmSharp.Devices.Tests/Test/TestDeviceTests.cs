using KvmSharp.Core.Memory;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Test;
using KvmSharp.Devices.Tests.Support;
using KvmSharp.TestKit.Fakes;

namespace KvmSharp.Devices.Tests.Test;

public sealed class TestDeviceTests : IDisposable
{
    private readonly PioBus _pio = new();
    private readonly MmioBus _mmio = new();
    private readonly FakeInterruptFabric _interrupts = new();
    private readonly Dropper _dropper = new();
    private readonly TestDevice _device;

    public TestDeviceTests() => _device = new TestDevice(_pio, _mmio, _interrupts, _dropper);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Latch_Written_ReadsBackAtEveryWidthInBothWindows()
    {
        _pio.Out(0xE0, [1, 2, 3, 4]);
        _pio.Out(0xE9, [9]);
        byte[] data = new byte[4];
        _pio.In(0xE0, data);
        Assert.Equal(new byte[] { 1, 9, 3, 4 }, data);
        _pio.In(0xEA, data.AsSpan(0, 2));
        Assert.Equal(new byte[] { 3, 4 }, data[..2]);
    }

    [Fact]
    public void Drop_32BitWrite_NamesThePage()
    {
        _pio.Out(0xE4, BitConverter.GetBytes(0x0012_3456u));
        Assert.Equal([new GuestAddress(0x0012_3000)], _dropper.Dropped);
        _pio.Out(0xE4, [1]);
        Assert.Single(_dropper.Dropped);
    }

    [Fact]
    public void InterruptPort_Write_SetsLevelOfThatGsi()
    {
        _pio.Out(0x2005, [1]);
        Assert.True(_interrupts.Line(5).Level);
        _pio.Out(0x2005, [0]);
        Assert.False(_interrupts.Line(5).Level);
        _pio.Out(0x2017, [1]);
        Assert.True(_interrupts.Line(23).Level);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(3, 4)]
    [InlineData(5, 8)]
    [InlineData(0xFFF8, 8)]
    [InlineData(0xFFFF, 1)]
    public void Memory_EveryWidthAndAlignment_ReadsBack(int offset, int width)
    {
        byte[] value = [.. Enumerable.Range(1, width).Select(i => (byte)i)];
        _mmio.Write(TestDevice.DefaultMmioAddress + (ulong)offset, value);
        byte[] read = new byte[width];
        _mmio.Read(TestDevice.DefaultMmioAddress + (ulong)offset, read);
        Assert.Equal(value, read);
    }

    [Fact]
    public void SecondLatch_DebugConsoleAtE9_KeepsItsPort()
    {
        var pio = new PioBus();
        var console = new RecordingDevice(0xE9);
        pio.Register(0xE9, 1, console, "debugcon");
        using var device = new TestDevice(pio, new MmioBus(), _interrupts, null);
        pio.Out(0xE8, [1, 2, 3, 4]);
        byte[] data = new byte[4];
        pio.In(0xE8, data);
        Assert.Equal(new byte[] { 1, 0xE9, 3, 4 }, data);
        pio.Out(0xE4, new byte[4]);
    }

    [Fact]
    public void Dispose_Device_FreesEverything()
    {
        _device.Dispose();
        Assert.Empty(_pio.Ranges);
        Assert.Empty(_mmio.Ranges);
    }

    private sealed class Dropper : IGuestPageDropper
    {
        internal List<GuestAddress> Dropped { get; } = [];

        public void Drop(GuestAddress address) => Dropped.Add(address);
    }
}
