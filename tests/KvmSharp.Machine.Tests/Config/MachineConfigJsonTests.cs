using System.Text;
using System.Text.Json;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Config;

public sealed class MachineConfigJsonTests
{
    [Fact]
    public void Read_EveryForm_GivesTheMachine()
    {
        MachineConfig config = Resolve("""
            {
              // comments are fine
              "name": "web",
              "kernel": "/k", "initrd": "/i", "append": "a, b",
              "module": ["/m1 one two", { "path": "/m2" }],
              "memory": { "size": "1G", "mergeable": true, "numa-node": 1 },
              "cpus": 4,
              "cpu": { "model": "max", "features": ["+avx2", "-x2apic"], "vendor": "AuthenticAMD", "phys-bits": 40 },
              "irqchip": "split",
              "serial": ["none", "file:/o"],
              "debug-exit": true,
              "debug-console": { "char": "null", "port": "0x402" },
              "no-kernel-cache": true,
              "grace": 2.5,
              "no-reboot": true,
            }
            """);

        Assert.Equal("web", config.Name);
        Assert.Equal("a, b", config.Boot.Append);
        Assert.Equal("one two", config.Boot.Modules[0].CommandLine);
        Assert.Null(config.Boot.Modules[1].CommandLine);
        Assert.Equal(1UL << 30, config.Memory.SizeBytes);
        Assert.Equal(1, config.Memory.NumaNode);
        Assert.Equal((4, 1, 4, 1), (config.Cpus.Count, config.Cpus.Threads, config.Cpus.Cores, config.Cpus.Sockets));
        Assert.Equal([new CpuFeature("avx2", true), new CpuFeature("x2apic", false)], config.Cpus.Features);
        Assert.Equal(IrqchipMode.Split, config.Irqchip);
        Assert.Equal(new SerialConfig(1, new CharConfig(CharKind.File, "/o")), config.Serials[1]);
        Assert.Equal((ushort)0xF4, config.DebugExitPort);
        Assert.Equal(new DebugConsoleConfig(0x402, new CharConfig(CharKind.Null)), config.DebugConsole);
        Assert.Equal(2500, config.Grace.TotalMilliseconds);
        Assert.True(config.Boot.NoKernelCache);
        Assert.True(config.NoReboot);
    }

    [Theory]
    [InlineData("{\n\"memory\": null}", "f:2: memory must be a size such as \"512M\", not null")]
    [InlineData("{\"memory\": {\"hugepages\": \"on\"}}", "f:1: memory.hugepages must be true or false, not a text")]
    [InlineData("{\"memory\": {\"numa-node\": \"1\"}}", "f:1: memory.numa-node must be a number, not a text")]
    [InlineData("{\"cpus\": 1.5}", "f:1: cpus: count '1.5' is not a whole number")]
    [InlineData("{\"cpus\": 99999999999}", "f:1: cpus: count '99999999999' is out of range")]
    [InlineData("{\"kernel\": 5}", "f:1: kernel must be a text, not a number")]
    [InlineData("{\"no-reboot\": \"yes\"}", "f:1: no-reboot must be true or false, not a text")]
    [InlineData("{\"serial\": [\n\"stdio\",\n7]}", "f:3: serial[1] must be a text such as \"stdio\" or \"file:PATH\", not a number")]
    [InlineData("{\"cpu\": {\"features\": [1]}}", "f:1: cpu.features must be a list such as [\"+avx2\", \"-x2apic\"], not a number")]
    [InlineData("{\"disk\": [{\"file\": \"d\", \"iothread\": true}]}", "f:1: disk[0].iothread must be a number, a text such as \"0:2\" or a list, not true or false")]
    [InlineData("{\"disk\": [{\"file\": \"d\", \"cpus\": [1, [2]]}]}", "f:1: disk[0].cpus must be a number, a text such as \"0:2\" or a list, not a list")]
    [InlineData("{\"disk\": [{\"file\": \"d\", \"packed\": \"on\"}]}", "f:1: disk[0].packed must be true or false, not a text")]
    [InlineData("{\"disk\": [{\"file\": \"d\", \"queue-size\": 3}]}", "f:1: disk[0]: queue-size must be a power of two between 4 and 1024")]
    [InlineData("{\"memory\": \"1G\", \"memory\": \"2G\"}", "f:1: memory is given twice")]
    [InlineData("[]", "f:1: a configuration is a JSON object, { ... }")]
    [InlineData("{\"irqchip\": \"spilt\"}", "f:1: irqchip: 'spilt' is not one of kernel, split")]
    public void Read_Wrong_SaysWhereAndWhat(string json, string message) =>
        Assert.Equal(message, Assert.Throws<ConfigException>(() => Resolve(json)).Message);

    [Theory]
    [InlineData("{\"memroy\": 1}", "did you mean \"memory\"?")]
    [InlineData("{\"memory\": {\"sise\": 1}}", "did you mean size?")]
    [InlineData("{\"irqchip\": \"spilt\"}", "did you mean split?")]
    public void Read_Misspelt_Suggests(string json, string hint) =>
        Assert.Equal(hint, Assert.Throws<ConfigException>(() => Resolve(json)).Hint);

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"kernel\"")]
    [InlineData("{\"kernel\": \"x\"} x")]
    [InlineData("{\"kernel\": \"\\ud800\"}")]
    public void Read_Malformed_IsOneLine(string json)
    {
        ConfigException error = Assert.Throws<ConfigException>(() => Resolve(json));

        Assert.StartsWith("f:1: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Read_TruncatedAnywhere_NeverFailsOtherwise()
    {
        byte[] whole = Encoding.UTF8.GetBytes(MachineConfigJson.Write(Resolve("{\"kernel\": \"é\", \"cpu\": \"max,+avx2\", \"module\": [\"a b\"]}")));
        for (int length = 0; length < whole.Length; length++)
            Assert.Throws<ConfigException>(() => MachineConfigSource.Resolve(MachineConfigJson.Read("f", whole.AsSpan(0, length))));
    }

    [Fact]
    public void Write_EveryKey_IsAnOption()
    {
        MachineConfig config = Resolve("{\"kernel\": \"k\", \"initrd\": \"i\", \"append\": \"a\", \"module\": \"m\", \"sandbox\": \"on\", \"cgroup\": \"g\", \"pidfile\": \"p\", \"trace\": \"t\", \"debug-exit\": true, \"debug-console\": true, \"iothread\": [\"t\"], \"rng\": true, \"disk\": [\"d\"], \"net\": [\"t\"], \"fs\": [\"tag=t,vhost-user=s\"], \"console\": \"pty\", \"virtio-port\": [\"p,pty\"]}");

        using JsonDocument json = JsonDocument.Parse(MachineConfigJson.Write(config));

        Assert.Equal(MachineOptions.All.Select(o => o.Name), json.RootElement.EnumerateObject().Select(p => p.Name));
    }

    [Fact]
    public void Write_ThenRead_IsTheSame()
    {
        string written = MachineConfigJson.Write(Resolve("{\"kernel\": \"k\", \"cpus\": \"8,threads=2,sockets=2\", \"trace\": \"t.json,limit=2M\", \"cpu\": \"max,-avx2\", \"memory\": \"3M,lock=on\", \"serial\": [\"pty\", \"unix:/s\"]," +
            "\"rng\": \"max-bytes=1K,period=20ms,iothread=3,packed=on,event_idx=off,vectors=0\", \"disk\": [\"a.img,cache=none,queues=2,serial=x\", {\"file\": \"b\", \"readonly\": true, \"id\": \"root\", \"iothread\": [\"a\", 5], \"logical_block_size\": 4096, \"write-zeroes\": false}, {\"vhost-user\": \"s\", \"queues\": 2, \"packed\": true}]," +
            "\"net\": [\"tap0,bridge=br0,mac=52:54:00:12:34:56,queues=2,mtu=9000,guest_uso=off,queue-size=512,cpus=1:2,poll-max-ns=5\", \"tap1,model=e1000,mtu=1400,irqfd=on,cpus=3\", {\"fd\": [7, 8], \"csum\": false}, \"vhost-user=/s,server=on,queues=2,mtu=9000\"], \"fs\": [\"tag=home,vhost-user=/f,queues=2\"], \"iothread\": [{\"id\": \"a\", \"cpus\": 3, \"poll-max-ns\": 0}]," +
            "\"sandbox\": \"on,user=me\", \"console\": \"virtio,unix:/c,iothread=2\", \"virtio-port\": [\"a,pty,id=p,packed=on\", {\"name\": \"b\", \"char\": \"unix:/b\", \"console\": true}]}"));

        Assert.Equal(written, MachineConfigJson.Write(Resolve(written)));
    }

    [Fact]
    public void Resolve_FlagOffInStrongerSource_Wins()
    {
        MachineConfigSource weak = MachineConfigJson.Read("f", "{\"no-reboot\": true, \"debug-exit\": 5}"u8);
        MachineConfigSource strong = MachineConfigJson.Read("g", "{\"no-reboot\": false, \"debug-exit\": false}"u8);

        MachineConfig config = MachineConfigSource.Resolve(weak, strong);

        Assert.False(config.NoReboot);
        Assert.Null(config.DebugExitPort);
    }

    [Fact]
    public void Resolve_NothingSaid_ConsoleIsOnStdio() =>
        Assert.Equal([new SerialConfig(0, new CharConfig(CharKind.Stdio))], Resolve("{}").Serials);

    [Fact]
    public void Resolve_DebugConsoleOnStdio_TakesItFromCom1() => Assert.Empty(Resolve("{\"debug-console\": true}").Serials);

    private static MachineConfig Resolve(string json) => MachineConfigSource.Resolve(MachineConfigJson.Read("f", Encoding.UTF8.GetBytes(json)));
}
