using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Tests.Support;

namespace KvmSharp.Devices.Tests.Buses;

public sealed class BusExitHandlerTests
{
    private readonly DeviceExitCounters _counters = new(2);
    private readonly PioBus _pio;
    private readonly MmioBus _mmio;
    private readonly BusExitHandler _handler;

    public BusExitHandlerTests()
    {
        _pio = new PioBus(_counters);
        _mmio = new MmioBus(_counters);
        _handler = new BusExitHandler(_pio, _mmio, _counters);
    }

    [Fact]
    public void Counters_AccessesOnTwoVcpus_CountedByDeviceAndVcpu()
    {
        _pio.Register(0x10, 4, new RecordingDevice(1), "dev");
        _mmio.Register(0x1000, 4, new RecordingDevice(1), "dev");
        _mmio.Register(0x2000, 4, new RecordingDevice(1), "other");
        _handler.PioIn(0, 0x10, new byte[1]);
        _handler.PioOut(1, 0x11, [1]);
        _handler.MmioRead(1, 0x1000, new byte[4]);
        _handler.MmioWrite(0, 0x2000, [1]);
        _handler.PioIn(0, 0x99, new byte[1]);
        Assert.Equal(
            [new DeviceExitCount("unclaimed", 1, 0), new DeviceExitCount("dev", 2, 1), new DeviceExitCount("other", 0, 1)],
            _counters.Snapshot());
        Assert.Equal(
            [new DeviceExitCount("unclaimed", 0, 0), new DeviceExitCount("dev", 1, 1), new DeviceExitCount("other", 0, 0)],
            _counters.Snapshot(1));
    }

    [Fact]
    public void Counters_MoreDevicesThanExpected_AllCounted()
    {
        for (int i = 0; i < 300; i++)
            _pio.Register((ushort)i, 1, new RecordingDevice(1), $"d{i}");
        for (int i = 0; i < 300; i++)
            _handler.PioIn(0, (ushort)i, new byte[1]);
        DeviceExitCount[] counts = _counters.Snapshot();
        Assert.Equal(301, counts.Length);
        Assert.All(counts.Skip(1), c => Assert.Equal(1, c.Reads));
    }

    [Fact]
    public void Counters_StraddlingAccess_CountedOnce()
    {
        _pio.Register(0x12, 1, new RecordingDevice(1), "dev");
        _handler.PioIn(0, 0x11, new byte[4]);
        Assert.Equal([new DeviceExitCount("unclaimed", 0, 0), new DeviceExitCount("dev", 1, 0)], _counters.Snapshot());
    }

    [Fact]
    public void Dispatch_ManyAccesses_AllocatesNothing()
    {
        _pio.Register(0x10, 4, new RecordingDevice(1) { Quiet = true }, "pio");
        _mmio.Register(0x1000, 8, new RecordingDevice(1) { Quiet = true }, "mmio");
        Exercise(100);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Exercise(100_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private void Exercise(int rounds)
    {
        Span<byte> data = stackalloc byte[8];
        for (int i = 0; i < rounds; i++)
        {
            _handler.PioIn(0, 0x10, data[..4]);
            _handler.PioOut(0, 0x12, data[..4]);
            _handler.PioIn(0, 0x500, data[..2]);
            _handler.MmioRead(0, 0x1000, data);
            _handler.MmioWrite(0, 0x1004, data);
            _handler.MmioWrite(0, 0x9000, data);
        }
    }
}
