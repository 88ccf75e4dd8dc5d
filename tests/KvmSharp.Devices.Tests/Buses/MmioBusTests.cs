using KvmSharp.Devices.Buses;
using KvmSharp.Devices.Tests.Support;

namespace KvmSharp.Devices.Tests.Buses;

public sealed class MmioBusTests
{
    private readonly MmioBus _bus = new();

    [Fact]
    public void Read_Unclaimed_ReadsAllOnes()
    {
        byte[] data = new byte[8];
        _bus.Read(0xFE00_0000, data);
        Assert.Equal(ulong.MaxValue, BitConverter.ToUInt64(data));
    }

    [Fact]
    public void Read_LastRangeOfAddressSpace_Found()
    {
        var device = new RecordingDevice(9);
        _bus.Register(ulong.MaxValue - 0xFFF, 0x1000, device, "top");
        byte[] data = new byte[8];
        _bus.Read(ulong.MaxValue - 7, data);
        Assert.Equal(["r8@4088"], device.Log);
    }

    [Fact]
    public void Read_WrapsAddressSpace_SplitSafely()
    {
        _bus.Register(ulong.MaxValue, 1, new RecordingDevice(9), "top");
        byte[] data = new byte[8];
        _bus.Read(ulong.MaxValue, data);
        Assert.Equal(new byte[] { 9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF }, data);
    }

    [Fact]
    public void Write_Straddle_SplitIntoBytes()
    {
        var low = new RecordingDevice(1);
        var high = new RecordingDevice(2);
        _bus.Register(0x1000, 0x1000, low, "low");
        _bus.Register(0x2000, 0x1000, high, "high");
        _bus.Write(0x1FFE, [1, 2, 3, 4]);
        Assert.Equal(["w1@4094=01", "w1@4095=02"], low.Log);
        Assert.Equal(["w1@0=03", "w1@1=04"], high.Log);
    }

    [Theory]
    [InlineData(0x0UL, 0x0UL)]
    [InlineData(ulong.MaxValue, 2UL)]
    [InlineData(0x1000UL, ulong.MaxValue)]
    public void Register_NotARange_Throws(ulong address, ulong length) =>
        Assert.Throws<ArgumentException>(() => _bus.Register(address, length, new RecordingDevice(1), "bad"));

    [Fact]
    public void Register_Overlap_Throws()
    {
        _bus.Register(0x1000, 0x1000, new RecordingDevice(1), "dev");
        Assert.Throws<ArgumentException>(() => _bus.Register(0x1FFF, 1, new RecordingDevice(1), "bad"));
        Assert.Throws<ArgumentException>(() => _bus.Register(0xFFF, 2, new RecordingDevice(1), "bad"));
        _bus.Register(0xFFF, 1, new RecordingDevice(1), "good");
    }

    [Fact]
    public void Find_RandomTable_AgreesWithLinearSearch()
    {
        const int Seed = 12345;
        var random = new Random(Seed);
        var owners = new RecordingDevice?[4096];
        for (int i = 0; i < 400; i++)
        {
            ulong start = (ulong)random.Next(4096);
            ulong length = (ulong)random.Next(1, 24);
            var device = new RecordingDevice((byte)(i % 250)) { Quiet = true };
            if (start + length > 4096 || _bus.TryRegister(start, length, device, "d", out _) is not { } registration)
                continue;
            Assert.All(Enumerable.Range((int)start, (int)length), a => Assert.Null(owners[a]));
            if (random.Next(3) == 0)
            {
                registration.Dispose();
                continue;
            }

            owners.AsSpan((int)start, (int)length).Fill(device);
        }

        for (int address = 0; address < 4096; address++)
        {
            int before = owners[address]?.Accesses ?? 0;
            _bus.Read((ulong)address, new byte[1]);
            Assert.Equal(before + 1, owners[address]?.Accesses ?? 1);
        }
    }
}
