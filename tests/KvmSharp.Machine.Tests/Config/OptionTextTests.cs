using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Tests.Config;

public sealed class OptionTextTests
{
    [Theory]
    [InlineData("512M", 512UL << 20)]
    [InlineData("1.5G", 1536UL << 20)]
    [InlineData("4096", 4096UL)]
    [InlineData("0x1000", 4096UL)]
    [InlineData("2GiB", 2UL << 30)]
    [InlineData("64kb", 64UL << 10)]
    public void SizeText_Valid_Parses(string text, ulong bytes)
    {
        Assert.True(SizeText.TryParse(text, out ulong parsed));
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("M")]
    [InlineData("-1")]
    [InlineData("1e3")]
    [InlineData("0.3")]
    [InlineData("1Q")]
    [InlineData("9999999999P")]
    [InlineData("79228162514264337593543950336")]
    [InlineData("0xffffffffffffffff")]
    public void SizeText_Invalid_IsRefused(string text) => Assert.False(SizeText.TryParse(text, out _));

    [Theory]
    [InlineData(4096UL, "4K")]
    [InlineData(4097UL, "4097")]
    [InlineData(0UL, "0")]
    [InlineData(3UL << 40, "3T")]
    public void SizeText_Format_IsShortAndExact(ulong bytes, string text) => Assert.Equal(text, SizeText.Format(bytes));

    [Fact]
    public void Parse_DoubledComma_IsAComma()
    {
        MachineConfig config = Apply("debug-console", "file:/a,,b,port=1");

        Assert.Equal(new DebugConsoleConfig(1, new CharConfig(CharKind.File, "/a,b")), config.DebugConsole);
    }

    [Fact]
    public void Parse_PathWithEquals_IsAValue() => Assert.Equal("/a=b", Apply("debug-console", "file:/a=b").DebugConsole!.Char.Path);

    [Fact]
    public void Parse_BareBooleanKey_IsOn() => Assert.True(Apply("memory", "1G,hugepages").Memory.HugePages);

    [Theory]
    [InlineData("4,threads=2", 4, 2, 2, 1)]
    [InlineData("8,sockets=2,threads=2", 8, 2, 2, 2)]
    [InlineData("8,cores=2", 8, 1, 2, 4)]
    [InlineData("cores=3,threads=2", 6, 2, 3, 1)]
    [InlineData("1", 1, 1, 1, 1)]
    public void Cpus_Topology_IsCompleted(string text, int count, int threads, int cores, int sockets)
    {
        CpuConfig cpus = Apply("cpus", text).Cpus;

        Assert.Equal((count, threads, cores, sockets), (cpus.Count, cpus.Threads, cpus.Cores, cpus.Sockets));
    }

    [Theory]
    [InlineData("cpus", "5,threads=2")]
    [InlineData("cpu", "host,vendor=short")]
    [InlineData("cpu", "host,phys-bits=64")]
    [InlineData("memory", "3M,hugepages=on")]
    [InlineData("serial", "file:")]
    [InlineData("serial", "pty:x")]
    [InlineData("name", "")]
    [InlineData("name", "-x")]
    public void Validate_Nonsense_IsRefused(string option, string text) =>
        Assert.Throws<ConfigException>(() => MachineConfigValidator.Validate(Apply(option, text) with { Boot = new() { KernelPath = "k" } }));

    [Theory]
    [InlineData("memory", "1G,1G")]
    [InlineData("memory", "1G,size=1G")]
    [InlineData("memory", "1G,hugepages=maybe")]
    [InlineData("cpu", "host,+")]
    [InlineData("serial", "tcp:1")]
    [InlineData("debug-exit", "65536")]
    [InlineData("grace", "-1s")]
    [InlineData("grace", "-Infinity")]
    [InlineData("grace", "NaN")]
    [InlineData("grace", "soon")]
    [InlineData("kernel", "")]
    public void Apply_Nonsense_IsRefused(string option, string text) => Assert.Throws<ConfigException>(() => Apply(option, text));

    private static MachineConfig Apply(string name, string text)
    {
        MachineOption option = MachineOptions.Find(name)!;
        return option.Apply(new MachineConfig(), [OptionText.Parse(option, text, "--" + name)]);
    }
}
