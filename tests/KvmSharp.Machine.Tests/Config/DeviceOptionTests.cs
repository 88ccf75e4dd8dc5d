using KvmSharp.Backends.Block;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Config;

/// <summary>The options of virtio devices: what they come to, and what they refuse.</summary>
public sealed class DeviceOptionTests
{
    [Fact]
    public void Resolve_Disk_HasEveryKey()
    {
        DiskConfig disk = Assert.IsType<DiskConfig>(Single("disk", "file=a,,b.img,model=virtio,readonly=on,cache=directsync,aio=threads,queues=4,serial=S1,discard=off,iothread=7,id=root"));

        Assert.Equal(
            new DiskConfig
            {
                Path = "a,b.img", ReadOnly = true, Cache = BlockCacheMode.Directsync, Engine = BlockEngine.Threads, Queues = 4, Serial = "S1", Discard = false, IoThread = 7, Id = "root",
            },
            disk);
    }

    [Fact]
    public void Resolve_DiskWithPathOnly_HasDefaults() => Assert.Equal(new DiskConfig { Path = "disk.img" }, Single("disk", "disk.img"));

    [Fact]
    public void Resolve_Rng_HasItsLimit() =>
        Assert.Equal(new RngConfig { MaxBytes = 2048, Period = TimeSpan.FromMilliseconds(100) }, Single("rng", "max-bytes=2K,period=100ms"));

    [Fact]
    public void Resolve_Net_HasEveryKey()
    {
        NetConfig net = Assert.IsType<NetConfig>(Single("net", "tap0,bridge=br0,mac=52:54:00:12:34:56,queues=2,mtu=1400"));

        Assert.Equal(("tap0", "br0", "52:54:00:12:34:56", 2, 1400), (net.Tap, net.Bridge, net.Mac?.ToString(), net.Queues, net.Mtu));
    }

    [Theory]
    [InlineData("disk", "cache=none", "--disk: file is missing")]
    [InlineData("disk", "a,queues=0", "--disk: queues must be between 1 and 256")]
    [InlineData("disk", "a,serial=123456789012345678901", "--disk: serial '123456789012345678901' is longer than 20 bytes")]
    [InlineData("disk", "a,cache=fast", "--disk: cache 'fast' is not one of writeback, none, writethrough, directsync, unsafe")]
    [InlineData("disk", "a,iothread=-1", "--disk: iothread must be between 0 and 999")]
    [InlineData("rng", "period=0", "--rng: period must be at least 1ms")]
    [InlineData("net", "t,mac=1:2", "--net: mac '1:2' is not an address, as 52:54:00:12:34:56")]
    [InlineData("net", "t,mac=01:00:00:00:00:00", "--net: mac 01:00:00:00:00:00 is a multicast address")]
    [InlineData("net", "t,mtu=10", "--net: mtu must be between 68 and 65521")]
    public void Resolve_WrongValue_IsRefusedInOneLine(string option, string text, string message)
    {
        ConfigException error = Assert.Throws<ConfigException>(() => Single(option, text));

        Assert.Equal(message, error.Message);
    }

    private static DeviceConfig Single(string name, string text)
    {
        MachineOption option = MachineOptions.Find(name)!;
        var source = new MachineConfigSource();
        source.Add(option, OptionText.Parse(option, text, "--" + name));
        return Assert.Single(MachineConfigSource.Resolve(source).Devices);
    }
}
