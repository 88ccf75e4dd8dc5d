using KvmSharp.Core.Buses;
using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Tests.Support;

namespace KvmSharp.Devices.Tests.Buses;

public sealed class PioBusTests
{
    private readonly PioBus _bus = new();

    [Fact]
    public void In_UnclaimedPort_ReadsAllOnes()
    {
        byte[] data = new byte[4];
        int slot = _bus.In(0x80, data);
        Assert.Equal(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF }, data);
        Assert.Equal(DeviceExitCounters.UnclaimedSlot, slot);
    }

    [Fact]
    public void In_ClaimedPort_GetsOffsetInRange()
    {
        var device = new RecordingDevice(7);
        _bus.Register(0x3F8, 8, device, "com1");
        byte[] data = new byte[1];
        _bus.In(0x3FD, data);
        Assert.Equal(7, data[0]);
        Assert.Equal(["r1@5"], device.Log);
    }

    [Theory]
    [InlineData(0x3F7, 2)]
    [InlineData(0x3FF, 1)]
    [InlineData(0x3F0, 0x20)]
    [InlineData(0x3F9, 2)]
    public void Register_Overlap_Throws(int port, int length)
    {
        _bus.Register(0x3F8, 8, new RecordingDevice(1), "com1");
        ArgumentException e = Assert.Throws<ArgumentException>(() => _bus.Register((ushort)port, length, new RecordingDevice(2), "other"));
        Assert.Contains("com1", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, -1)]
    [InlineData(0xFFFF, 2)]
    [InlineData(0, 0x10001)]
    public void Register_NotARange_Throws(int port, int length) =>
        Assert.Throws<ArgumentException>(() => _bus.Register((ushort)port, length, new RecordingDevice(2), "bad"));

    [Fact]
    public void Register_Neighbours_EachGetsItsOwn()
    {
        var low = new RecordingDevice(1);
        var high = new RecordingDevice(2);
        var middle = new RecordingDevice(3);
        _bus.Register(0x20, 2, high, "high");
        _bus.Register(0x10, 8, low, "low");
        _bus.Register(0x18, 8, middle, "middle");
        byte[] data = new byte[1];
        _bus.In(0x17, data);
        Assert.Equal(1, data[0]);
        _bus.In(0x18, data);
        Assert.Equal(3, data[0]);
        _bus.In(0x1F, data);
        Assert.Equal(3, data[0]);
        _bus.In(0x20, data);
        Assert.Equal(2, data[0]);
        _bus.In(0x22, data);
        Assert.Equal(0xFF, data[0]);
    }

    [Fact]
    public void In_StraddlesTwoDevicesAndAHole_EachByteFromItsOwner()
    {
        _bus.Register(0x10, 2, new RecordingDevice(1), "one");
        _bus.Register(0x12, 1, new RecordingDevice(2), "two");
        byte[] data = new byte[4];
        _bus.In(0x10, data);
        Assert.Equal(new byte[] { 1, 1, 2, 0xFF }, data);
    }

    [Fact]
    public void In_StartsBelowTheRange_TailComesFromDevice()
    {
        _bus.Register(0x11, 4, new RecordingDevice(5), "dev");
        byte[] data = new byte[2];
        _bus.In(0x10, data);
        Assert.Equal(new byte[] { 0xFF, 5 }, data);
    }

    [Fact]
    public void Out_StraddlesEnd_DeviceSeesOnlyItsBytes()
    {
        var device = new RecordingDevice(1);
        _bus.Register(0x10, 2, device, "dev");
        _bus.Out(0x11, [0xAA, 0xBB]);
        Assert.Equal(["w1@1=AA"], device.Log);
    }

    [Fact]
    public void In_AtTopOfPortSpace_Wraps()
    {
        _bus.Register(0xFFFF, 1, new RecordingDevice(1), "top");
        _bus.Register(0, 1, new RecordingDevice(2), "bottom");
        byte[] data = new byte[2];
        _bus.In(0xFFFF, data);
        Assert.Equal(new byte[] { 1, 2 }, data);
    }

    [Fact]
    public void In_DeviceRefuses_ReadsAllOnes()
    {
        var device = new RecordingDevice(0x55) { Answer = BusStatus.BadSize };
        _bus.Register(0x10, 4, device, "dev");
        byte[] data = new byte[2];
        _bus.In(0x10, data);
        Assert.Equal(new byte[] { 0xFF, 0xFF }, data);
    }

    [Fact]
    public void Dispose_Registration_FreesRangeForAnother()
    {
        var first = new RecordingDevice(1);
        IDisposable registration = _bus.Register(0x10, 4, first, "first");
        registration.Dispose();
        registration.Dispose();
        byte[] data = new byte[1];
        _bus.In(0x10, data);
        Assert.Equal(0xFF, data[0]);
        _bus.Register(0x10, 4, new RecordingDevice(2), "second");
        _bus.In(0x10, data);
        Assert.Equal(2, data[0]);
        Assert.Equal(0, first.Accesses);
        Assert.Equal([new BusRange(0x10, 0x13, "second")], _bus.Ranges);
    }

    [Fact]
    public void TryRegister_Overlap_NamesOwner()
    {
        _bus.Register(0x10, 4, new RecordingDevice(1), "first");
        Assert.Null(_bus.TryRegister(0x12, 4, new RecordingDevice(2), "second", out string? conflict));
        Assert.Equal("first", conflict);
    }

    [Fact]
    public void Dispose_WhileVcpusAccess_NoAccessAfterReturn()
    {
        using var stop = new CancellationTokenSource();
        int accesses = 0;
        Thread[] vcpus = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            Span<byte> data = stackalloc byte[1];
            while (!stop.IsCancellationRequested)
            {
                _bus.In(0x10, data);
                accesses++;
            }
        }))];
        foreach (Thread vcpu in vcpus)
            vcpu.Start();
        try
        {
            for (int i = 0; i < 2000; i++)
            {
                var device = new RecordingDevice(1) { Quiet = true };
                IDisposable registration = _bus.Register(0x10, 1, device, "dev");
                if (i % 16 == 0)
                    Thread.Yield();
                registration.Dispose();
                int after = device.Accesses;
                Thread.SpinWait(20);
                Assert.Equal(after, device.Accesses);
            }
        }
        finally
        {
            stop.Cancel();
            foreach (Thread vcpu in vcpus)
                vcpu.Join();
        }

        Assert.True(accesses > 0);
    }
}
