using KvmSharp.Backends.Block;
using KvmSharp.Machine.Config;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Machine.Tests.Config;

/// <summary>The options of virtio devices: what they come to, and what they refuse.</summary>
public sealed class DeviceOptionTests
{
    [Fact]
    public void Resolve_Disk_HasEveryKey()
    {
        DiskConfig disk = Assert.IsType<DiskConfig>(Single("disk",
            "file=a,,b.img,model=virtio,readonly=on,cache=directsync,aio=threads,queues=4,serial=S1,discard=off,write-zeroes=off,logical_block_size=4K,physical_block_size=8K,id=root"));

        Assert.Equal(
            new DiskConfig
            {
                Path = "a,b.img", ReadOnly = true, Cache = BlockCacheMode.Directsync, Engine = BlockEngine.Threads, Queues = 4, Serial = "S1", Discard = false,
                WriteZeroes = false, LogicalBlockSize = 4096, PhysicalBlockSize = 8192, Id = "root",
            },
            disk);
    }

    [Theory]
    [InlineData("disk", "file=a")]
    [InlineData("net", "tap=t")]
    [InlineData("rng", "period=1s")]
    public void Resolve_EveryVirtioDevice_HasTheCommonKeys(string option, string text)
    {
        VirtioSettings settings = Settings(option, text + ",packed=on,event_idx=off,indirect_desc=off,in_order=on,ioeventfd=off,irqfd=off,vectors=0,queue-size=16,cpus=1-3:6,poll-max-ns=0");

        Assert.Equal([1, 2, 3, 6], settings.Cpus);
        Assert.Equal(
            new VirtioSettings
            {
                Packed = true, EventIdx = false, IndirectDesc = false, InOrder = true, IoEventFd = false, IrqFd = false, Vectors = 0, QueueSize = 16, PollMaxNs = 0,
            },
            settings with { Cpus = [] });
    }

    [Fact]
    public void Resolve_IoThreads_AreNamedInOrder() => Assert.Equal(["a", "7"], Settings("disk", "d,iothread=a:7").IoThreads);

    [Fact]
    public void Resolve_IoThreadDeclared_HasItsCpusAndPolling()
    {
        MachineConfig config = Resolve(("iothread", "fast,cpus=2:0,poll-max-ns=1000"), ("iothread", "id=slow"));

        Assert.Equal(("fast", 1000), (config.IoThreads[0].Id, config.IoThreads[0].PollMaxNs));
        Assert.Equal([2, 0], config.IoThreads[0].Cpus);
        Assert.Equal(new IoThreadConfig("slow"), config.IoThreads[1]);
    }

    [Theory]
    [InlineData("mrg_rxbuf", 1UL << VIRTIO_NET_F_MRG_RXBUF)]
    [InlineData("csum", 1UL << VIRTIO_NET_F_CSUM)]
    [InlineData("guest_csum", 1UL << VIRTIO_NET_F_GUEST_CSUM)]
    [InlineData("host_tso4", 1UL << VIRTIO_NET_F_HOST_TSO4)]
    [InlineData("host_tso6", 1UL << VIRTIO_NET_F_HOST_TSO6)]
    [InlineData("guest_tso4", 1UL << VIRTIO_NET_F_GUEST_TSO4)]
    [InlineData("guest_tso6", 1UL << VIRTIO_NET_F_GUEST_TSO6)]
    [InlineData("host_uso", 1UL << VIRTIO_NET_F_HOST_USO)]
    [InlineData("guest_uso", 1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6)]
    [InlineData("ctrl_vq", 1UL << VIRTIO_NET_F_CTRL_VQ)]
    public void Resolve_NetFeatureOff_IsWithheld(string key, ulong bits)
    {
        Assert.Equal(bits, Assert.IsType<NetConfig>(Single("net", $"t,{key}=off")).WithheldFeatures);
        Assert.Equal(0UL, Assert.IsType<NetConfig>(Single("net", $"t,{key}=on")).WithheldFeatures);
    }

    [Fact]
    public void Resolve_NetByDescriptors_HasAQueueForEach()
    {
        NetConfig net = Assert.IsType<NetConfig>(Single("net", "fd=7:9"));

        Assert.Equal([7, 9], net.Descriptors);
        Assert.Equal(2, net.Queues);
    }

    [Theory]
    [InlineData("disk", "d,iothread=fsat", "there is no I/O thread 'fsat'", "did you mean fast?")]
    [InlineData("disk", "d,iothread=1000", "there is no I/O thread '1000'", "declare it with --iothread id=NAME, or use a number up to 999")]
    [InlineData("net", "t,iothread=fast:fast", "I/O thread 'fast' is named twice for one device", null)]
    [InlineData("iothread", "fast", "two I/O threads have the id 'fast'", null)]
    [InlineData("net", "fd=5", "descriptor 5 is given to two network interfaces", null)]
    public void Validate_WhatDoesNotFitTogether_IsRefused(string option, string text, string message, string? hint)
    {
        MachineConfig config = Resolve(("kernel", "k"), ("iothread", "fast"), ("net", "fd=5,iothread=999"), (option, text));

        ConfigException error = Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(config));

        Assert.Equal((message, hint), (error.Message, error.Hint));
    }

    [Fact]
    public void Resolve_DiskWithPathOnly_HasDefaults() => Assert.Equal(new DiskConfig { Path = "disk.img" }, Single("disk", "disk.img"));

    [Fact]
    public void Resolve_IdeDisk_HasItsKeys()
    {
        DiskConfig disk = Assert.IsType<DiskConfig>(Single("disk", "a,model=ide,readonly=on,cache=none,serial=S 1,physical_block_size=4K,cpus=1,id=root"));

        Assert.Equal([1], disk.Virtio.Cpus);
        Assert.Equal(
            new DiskConfig { Path = "a", Model = DiskModel.Ide, ReadOnly = true, Cache = BlockCacheMode.None, Serial = "S 1", PhysicalBlockSize = 4096, Id = "root" },
            disk with { Virtio = new VirtioSettings() });
    }

    [Theory]
    [InlineData("queues=2")]
    [InlineData("discard=off")]
    [InlineData("write-zeroes=on")]
    [InlineData("logical_block_size=512")]
    [InlineData("packed=on")]
    [InlineData("ioeventfd=on")]
    [InlineData("queue-size=8")]
    public void Resolve_IdeDisk_TakesNoKeysOfVirtio(string key)
    {
        ConfigException error = Assert.Throws<ConfigException>(() => Single("disk", "a,model=ide," + key));

        string name = key.Split('=')[0];
        Assert.Equal(($"--disk: {name} is for virtio, not for model=ide", $"leave {name} out, or leave model=ide out"), (error.Message, error.Hint));
    }

    [Fact]
    public void Resolve_DiskOfAnotherProcess_HasItsKeys()
    {
        var disk = Assert.IsType<VhostUserDiskConfig>(Single("disk", "vhost-user=/run/s,queues=3,packed=on,id=far"));

        Assert.Equal(("/run/s", 3, true, "far"), (disk.Socket, disk.Queues, disk.Virtio.Packed, disk.Id));
    }

    [Theory]
    [InlineData("a,vhost-user=s", "file cannot be given together with vhost-user")]
    [InlineData("vhost-user=s,readonly=on", "readonly cannot be given together with vhost-user")]
    [InlineData("vhost-user=s,model=ide", "model cannot be given together with vhost-user")]
    [InlineData("vhost-user=", "vhost-user is empty")]
    [InlineData("vhost-user=s,queues=0", "queues must be between 1 and 256")]
    public void Resolve_DiskOfAnotherProcess_RefusesWhatItCannotHave(string text, string message) =>
        Assert.Equal($"--disk: {message}", Assert.Throws<ConfigException>(() => Single("disk", text)).Message);

    [Fact]
    public void Resolve_NetOfAnotherProcess_HasItsKeys()
    {
        var net = Assert.IsType<VhostUserNetConfig>(Single("net", "vhost-user=/run/s,server=on,queues=3,mtu=9000,mac=52:54:00:12:34:56,csum=off,packed=on,id=far"));

        Assert.Equal(("/run/s", true, 3, 9000, "52:54:00:12:34:56"), (net.Socket, net.Server, net.Queues, net.Mtu, net.Mac?.ToString()));
        Assert.Equal((1UL, true, "far"), (net.WithheldFeatures, net.Virtio.Packed, net.Id));
    }

    [Fact]
    public void Resolve_FileSystem_HasItsKeys()
    {
        var fs = Assert.IsType<FsConfig>(Single("fs", "tag=home,vhost-user=/run/s,queues=3,packed=on,id=far"));

        Assert.Equal(("home", "/run/s", 3, true, "far"), (fs.Tag, fs.Socket, fs.Queues, fs.Virtio.Packed, fs.Id));
    }

    [Fact]
    public void Validate_TwoFileSystemsOfOneTag_AreRefused()
    {
        MachineConfig config = Resolve(("kernel", "k"), ("fs", "tag=a,vhost-user=s"), ("fs", "tag=a,vhost-user=t"));

        Assert.Equal("two file systems have the tag 'a'", Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(config)).Message);
    }

    [Fact]
    public void Validate_FiveIdeDisks_IsRefused()
    {
        MachineConfig config = Resolve(("kernel", "k"), ("disk", "a,model=ide"), ("disk", "b,model=ide"), ("disk", "c,model=ide"), ("disk", "d,model=ide"), ("disk", "e,model=ide"));

        ConfigException error = Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(config));
        Assert.Equal(("5 IDE disks are more than the 4 that there is room for", "use model=virtio for the others"), (error.Message, error.Hint));
    }

    [Fact]
    public void Validate_IdeDiskOnMicrovm_IsRefused()
    {
        MachineConfig config = Resolve(("kernel", "k"), ("machine", "microvm"), ("disk", "a,model=ide"));

        ConfigException error = Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(config));
        Assert.Equal(("a microvm has no PCI and so no IDE disks", "use model=virtio, or --machine pc"), (error.Message, error.Hint));
    }

    [Fact]
    public void Resolve_Rng_HasItsLimit() =>
        Assert.Equal(new RngConfig { MaxBytes = 2048, Period = TimeSpan.FromMilliseconds(100) }, Single("rng", "max-bytes=2K,period=100ms"));

    [Theory]
    [InlineData("t", false, false)]
    [InlineData("t,vhost=on", true, false)]
    [InlineData("t,vhost=on,vhostforce=on", true, true)]
    [InlineData("t,vhostforce=on", true, true)]
    [InlineData("t,vhost=off,vhostforce=off", false, false)]
    public void Resolve_NetVhost_IsAskedFor(string text, bool vhost, bool force)
    {
        NetConfig net = Assert.IsType<NetConfig>(Single("net", text));

        Assert.Equal((vhost, force), (net.Vhost, net.VhostForce));
    }

    [Fact]
    public void Resolve_Net_HasEveryKey()
    {
        NetConfig net = Assert.IsType<NetConfig>(Single("net", "tap0,bridge=br0,mac=52:54:00:12:34:56,queues=2,mtu=1400"));

        Assert.Equal(("tap0", "br0", "52:54:00:12:34:56", 2, 1400), (net.Tap, net.Bridge, net.Mac?.ToString(), net.Queues, net.Mtu));
    }

    [Fact]
    public void Resolve_E1000_PinByIrqfdIfOn()
    {
        Assert.False(Assert.IsType<NetConfig>(Single("net", "tap0,model=e1000")).PinIrqFd);
        Assert.True(Assert.IsType<NetConfig>(Single("net", "tap0,model=e1000,irqfd=on")).PinIrqFd);
    }

    [Fact]
    public void Resolve_E1000_HasTheKeysOfTapAndThread()
    {
        NetConfig net = Assert.IsType<NetConfig>(Single("net", "tap0,model=e1000,bridge=br0,mac=52:54:00:12:34:56,mtu=9000,iothread=fast,id=lan"));

        Assert.Equal((NetModel.E1000, "tap0", "br0", 9000, "lan"), (net.Model, net.Tap, net.Bridge, net.Mtu, net.Id));
        Assert.Equal(["fast"], net.Virtio.IoThreads);
    }

    [Theory]
    [InlineData("", "stdio")]
    [InlineData("virtio", "stdio")]
    [InlineData("virtio,pty", "pty")]
    [InlineData("pty", "pty")]
    [InlineData("model=virtio,char=unix:/a,,b", "unix:/a,b")]
    [InlineData("file:/x=y,virtio", "file:/x=y")]
    public void Resolve_Console_LeadsWhereItSays(string text, string where) =>
        Assert.Equal(where, Assert.IsType<ConsoleConfig>(Single("console", text)).Char.ToString());

    [Fact]
    public void Resolve_ConsoleNone_IsNoDevice() => Assert.Empty(Resolve(("console", "none")).Devices);

    [Theory]
    [InlineData("virtio", 0)]
    [InlineData("virtio,pty", 1)]
    [InlineData("none", 1)]
    public void Resolve_ConsoleWithoutSerial_Com1HasStdioUnlessTheConsoleHas(string text, int serials) =>
        Assert.Equal(serials, Resolve(("console", text)).Serials.Count);

    [Fact]
    public void Validate_TwoOnStdio_IsOneError()
    {
        MachineConfig config = Resolve(("console", "virtio"), ("serial", "stdio"), ("kernel", "k"));

        ConfigException error = Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(config));
        Assert.Equal("the console: stdio is already used by another device", error.Message);
        Assert.Equal("give the other one file:PATH, pty, unix:PATH or none", error.Hint);
    }

    [Fact]
    public void Resolve_VirtioPorts_ShareOneDevice()
    {
        MachineConfig config = Resolve(("virtio-port", "name=org.a,unix:/s,id=agents"), ("virtio-port", "org.b,pty,console=on"), ("virtio-port", "org.c,none"));

        VirtioPortsConfig device = Assert.IsType<VirtioPortsConfig>(Assert.Single(config.Devices));
        Assert.Equal([new VirtioPortConfig("org.a", new CharConfig(CharKind.Unix, "/s")), new VirtioPortConfig("org.b", new CharConfig(CharKind.Pty), true)], device.Ports);
        Assert.Equal("agents", device.Id);
    }

    [Fact]
    public void Resolve_VirtioPortTwice_IsRefused()
    {
        Assert.Equal("--virtio-port: two ports have the name 'a'", Assert.Throws<ConfigException>(() => Resolve(("virtio-port", "a,pty"), ("virtio-port", "a,null"))).Message);
        Assert.Equal(
            "--virtio-port: b: iothread is for the device, which all ports share",
            Assert.Throws<ConfigException>(() => Resolve(("virtio-port", "a,pty"), ("virtio-port", "b,null,iothread=1"))).Message);
    }

    [Theory]
    [InlineData("disk", "cache=none", "--disk: file is missing")]
    [InlineData("disk", "a,queues=0", "--disk: queues must be between 1 and 256")]
    [InlineData("disk", "a,serial=123456789012345678901", "--disk: serial '123456789012345678901' is longer than 20 bytes")]
    [InlineData("disk", "a,model=ide,serial=\u00e9", "--disk: serial '\u00e9' must be printable ASCII for model=ide")]
    [InlineData("disk", "a,model=scsi", "--disk: model 'scsi' is not one of virtio, ide")]
    [InlineData("disk", "a,cache=fast", "--disk: cache 'fast' is not one of writeback, none, writethrough, directsync, unsafe")]
    [InlineData("disk", "a,logical_block_size=8K", "--disk: logical_block_size must be a power of two between 512 and 4096")]
    [InlineData("disk", "a,physical_block_size=1000", "--disk: physical_block_size must be a power of two between 512 and 2097152")]
    [InlineData("disk", "a,logical_block_size=4K,physical_block_size=512", "--disk: physical_block_size must not be smaller than logical_block_size")]
    [InlineData("disk", "a,queue-size=2", "--disk: queue-size must be a power of two between 4 and 1024")]
    [InlineData("net", "t,queue-size=100", "--net: queue-size must be a power of two between 16 and 1024")]
    [InlineData("rng", "queue-size=2048", "--rng: queue-size must be a power of two between 2 and 1024")]
    [InlineData("disk", "a,vectors=-1", "--disk: vectors must be between 0 and 2048")]
    [InlineData("disk", "a,vectors=2049", "--disk: vectors must be between 0 and 2048")]
    [InlineData("disk", "a,packed=maybe", "--disk: packed 'maybe' is not on or off")]
    [InlineData("disk", "a,poll-max-ns=1000000001", "--disk: poll-max-ns must be between 0 and 1000000000")]
    [InlineData("disk", "a,cpus=3-1", "--disk: cpus '3-1' is not a number or a range up to 8191, as 2 or 0-3")]
    [InlineData("disk", "a,cpus=8192", "--disk: cpus '8192' is not a number or a range up to 8191, as 2 or 0-3")]
    [InlineData("disk", "a,cpus=0-3:2", "--disk: cpus '2' repeats 2")]
    [InlineData("disk", "a,cpus=1::2", "--disk: cpus '1::2' has an empty part; put single colons between the parts")]
    [InlineData("disk", "a,iothread=0,cpus=1", "--disk: cpus and poll-max-ns are for threads of the device's own")]
    [InlineData("iothread", "cpus=1", "--iothread: id is missing")]
    [InlineData("iothread", "a/b", "--iothread: id 'a/b' must be 1 to 32 letters, digits and -_.")]
    [InlineData("iothread", "t,poll-max-ns=-1", "--iothread: poll-max-ns must be between 0 and 1000000000")]
    [InlineData("net", "fd=2", "--net: fd 0, 1 and 2 are standard input, output and error")]
    [InlineData("net", "fd=x", "--net: fd 'x' is not a number or a range up to 1048575, as 2 or 0-3")]
    [InlineData("net", "fd=5,tap=t", "--net: tap cannot be given together with fd")]
    [InlineData("net", "fd=5,mtu=1500", "--net: mtu cannot be given together with fd")]
    [InlineData("net", "fd=5:6,queues=3", "--net: 2 descriptors are not 3 queues")]
    [InlineData("net", "t,vhost=off,vhostforce=on", "--net: vhostforce=on contradicts vhost=off")]
    [InlineData("net", "t,vhost=maybe", "--net: vhost 'maybe' is not on or off")]
    [InlineData("net", "t,server=on", "--net: server is for vhost-user")]
    [InlineData("net", "t,vhost-user=s", "--net: tap cannot be given together with vhost-user")]
    [InlineData("net", "vhost-user=s,vhost=on", "--net: vhost cannot be given together with vhost-user")]
    [InlineData("net", "vhost-user=s,fd=5", "--net: fd cannot be given together with vhost-user")]
    [InlineData("net", "vhost-user=s,model=e1000", "--net: model cannot be given together with vhost-user")]
    [InlineData("net", "vhost-user=", "--net: vhost-user is empty")]
    [InlineData("net", "vhost-user=s,server=perhaps", "--net: server 'perhaps' is not on or off")]
    [InlineData("net", "vhost-user=s,queues=65", "--net: queues must be between 1 and 64")]
    [InlineData("net", "vhost-user=s,queues=2,ctrl_vq=off", "--net: several queues need the control queue")]
    [InlineData("fs", "vhost-user=s", "--fs: tag is missing")]
    [InlineData("fs", "tag=,vhost-user=s", "--fs: tag is empty")]
    [InlineData("fs", "tag=a", "--fs: vhost-user is missing")]
    [InlineData("fs", "tag=a,vhost-user=", "--fs: vhost-user is empty")]
    [InlineData("fs", "tag=1234567890123456789012345678901234567,vhost-user=s", "--fs: tag '1234567890123456789012345678901234567' must have at most 36 bytes and no NUL")]
    [InlineData("fs", "tag=a,vhost-user=s,queues=0", "--fs: queues must be between 1 and 64")]
    [InlineData("fs", "tag=a,vhost-user=s,queue-size=8", "--fs: queue-size must be a power of two between 16 and 1024")]
    [InlineData("net", "t,queues=2,ctrl_vq=off", "--net: several queues need the control queue")]
    [InlineData("rng", "period=0", "--rng: period must be at least 1ms")]
    [InlineData("net", "t,model=e1001", "--net: model 'e1001' is not one of virtio, e1000")]
    [InlineData("net", "t,model=e1000,queues=2", "--net: queues is for virtio, not for model=e1000")]
    [InlineData("net", "t,model=e1000,mrg_rxbuf=off", "--net: mrg_rxbuf is for virtio, not for model=e1000")]
    [InlineData("net", "t,model=e1000,vectors=0", "--net: vectors is for virtio, not for model=e1000")]
    [InlineData("net", "t,model=e1000,packed=on", "--net: packed is for virtio, not for model=e1000")]
    [InlineData("net", "fd=5:6,model=e1000", "--net: an e1000 has one queue, not 2")]
    [InlineData("net", "t,mac=1:2", "--net: mac '1:2' is not an address, as 52:54:00:12:34:56")]
    [InlineData("net", "t,mac=01:00:00:00:00:00", "--net: mac 01:00:00:00:00:00 is a multicast address")]
    [InlineData("net", "t,mtu=10", "--net: mtu must be between 68 and 65521")]
    [InlineData("console", "hvc0", "--console: model 'hvc0' is not one of virtio")]
    [InlineData("virtio-port", "pty", "--virtio-port: name is missing")]
    [InlineData("virtio-port", "name=a", "--virtio-port: a leads nowhere")]
    [InlineData("virtio-port", "a/b,pty", "--virtio-port: name 'a/b' may only have printable ASCII characters without blanks and slashes")]
    public void Resolve_WrongValue_IsRefusedInOneLine(string option, string text, string message)
    {
        ConfigException error = Assert.Throws<ConfigException>(() => Single(option, text));

        Assert.Equal(message, error.Message);
    }

    private static DeviceConfig Single(string name, string text) => Assert.Single(Resolve((name, text)).Devices);

    private static VirtioSettings Settings(string name, string text) => Assert.IsAssignableFrom<VirtioConfig>(Single(name, text)).Virtio;

    private static MachineConfig Resolve(params ReadOnlySpan<(string Name, string Text)> said)
    {
        var source = new MachineConfigSource();
        foreach ((string name, string text) in said)
        {
            MachineOption option = MachineOptions.Find(name)!;
            source.Add(option, text.Length == 0 ? new OptionValues("--" + name) : OptionText.Parse(option, text, "--" + name));
        }

        return MachineConfigSource.Resolve(source);
    }
}
