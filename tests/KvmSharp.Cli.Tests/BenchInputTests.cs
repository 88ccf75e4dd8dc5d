using KvmSharp.Cli.Tests.Support;

namespace KvmSharp.Cli.Tests;

/// <summary>What <c>kvmsharp bench</c> refuses, before it measures anything.</summary>
public sealed class BenchInputTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("bench needs to know what to measure")]
    [InlineData("no benchmark 'path'", "path")]
    [InlineData("unknown option '--round'", "paths", "--round", "1")]
    [InlineData("unexpected argument 'x'", "paths", "x")]
    [InlineData("--rounds must be a number between 1 and 1000", "paths", "--rounds", "0")]
    [InlineData("--rounds must be a number between 1 and 1000", "paths", "--rounds", "-1")]
    [InlineData("--rounds is given twice", "paths", "--rounds", "1", "--rounds", "2")]
    [InlineData("--rounds needs one value", "paths", "--rounds")]
    [InlineData("--measure must be a number", "paths", "--measure", "1s")]
    [InlineData("--measure must be a number", "paths", "--measure", "0")]
    [InlineData("--warmup must be a number", "paths", "--warmup", "99999999999")]
    [InlineData("leave nothing to measure", "paths", "--no-net", "--no-disk")]
    [InlineData("--peer 'xen' is not known", "paths", "--peer", "xen")]
    [InlineData("--peer: accel must be kvm or tcg", "paths", "--peer", "qemu,accel=hvf")]
    [InlineData("--peer: 'speed=9' is not known", "paths", "--peer", "qemu,speed=9")]
    [InlineData("unknown option '--disk'", "exits", "--disk", "x")]
    [InlineData("--rounds must be a number between 1 and 1000", "exits", "--rounds", "many")]
    [InlineData("bench guest needs --kernel", "guest")]
    [InlineData("bench guest needs --initrd", "guest", "--kernel", "/bin/sh")]
    [InlineData("--kernel /nowhere: no such file", "guest", "--kernel", "/nowhere", "--initrd", "/bin/sh")]
    [InlineData("--initrd /tmp: no such file", "guest", "--kernel", "/bin/sh", "--initrd", "/tmp")]
    [InlineData("--disk /nowhere: no such file", "guest", "--kernel", "/bin/sh", "--initrd", "/bin/sh", "--disk", "/nowhere")]
    [InlineData("--paths: 'e100' is not known", "guest", "--kernel", "/bin/sh", "--initrd", "/bin/sh", "--paths", "ide,e100")]
    [InlineData("--paths: '' is not known", "guest", "--kernel", "/bin/sh", "--initrd", "/bin/sh", "--paths", "ide,")]
    [InlineData("--paths: a path is given twice", "guest", "--kernel", "/bin/sh", "--initrd", "/bin/sh", "--paths", "ide,ide")]
    [InlineData("--seconds must be a number between 1 and 600", "guest", "--kernel", "/bin/sh", "--initrd", "/bin/sh", "--seconds", "0")]
    [InlineData("unknown option '--tap'", "guest", "--tap", "x")]
    [InlineData("unknown option '--paths'", "paths", "--paths", "ide")]
    [InlineData("is a directory", "paths", "--json", "/tmp")]
    [InlineData("there is no directory", "paths", "--html", "/nowhere/at/all.html")]
    [InlineData("cannot read /nowhere.json", "paths", "--compare", "/nowhere.json")]
    public void Bench_WrongArguments_IsBadUsage(string message, params string[] args) => AssertError(CliProgram.Run(["bench", .. args]), 2, message);

    [Fact]
    public void Bench_CompareWithSomethingElse_IsBadUsage() =>
        AssertError(CliProgram.Run("bench", "paths", "--compare", _scratch.Write("old.json", "{}")), 2, "is not a report of kvmsharp bench");

    [Fact]
    public void Bench_DiskMissing_IsBadUsage() => AssertError(CliProgram.Run("bench", "paths", "--no-net", "--disk", _scratch["nothing"]), 2, "nothing");

    [Fact]
    public void Bench_KvmMissing_SaysHostCannot() => AssertError(CliProgram.Run("bench", "paths", "--no-net", "--kvm-device", _scratch["kvm"]), 4, "No such file");

    [Fact]
    public void Bench_GuestThatIsNoKernel_IsBadUsage() =>
        AssertError(CliProgram.Run("bench", "guest", "--paths", "virtio-blk", "--kernel", _scratch.Write("kernel", "text"), "--initrd", _scratch.Write("initrd", "text")), 2, "kernel");

    [Fact]
    public void Bench_Help_ListsItsOptions() => Assert.Contains("--compare FILE", CliProgram.Run("bench", "--help").Output, StringComparison.Ordinal);

    private static void AssertError(CliResult result, int status, string message)
    {
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.Equal(status, result.Status);
        Assert.Equal("", result.Output);
        Assert.All(result.Error.TrimEnd('\n').Split('\n'), line => Assert.StartsWith("kvmsharp: ", line, StringComparison.Ordinal));
    }
}
