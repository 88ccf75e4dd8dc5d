namespace KvmSharp.GuestTests;

/// <summary>Disks carry verified data under load, take discards, keep what was flushed, and change size under a running guest.</summary>
[Collection(DataPathGuests.Name)]
public sealed class DiskGuestTests(GuestHost host)
{
    [Theory]
    [InlineData("6.12-cloud", "pc", "2", "on")]
    [InlineData("6.12-generic", "microvm", "1", "off")]
    [InlineData("6.1-generic", "pc", "1", "off")]
    [InlineData("6.1-cloud", "microvm", "2", "on")]
    public void Run_DiskUnderLoad_DataIsRightAndDiscardsReachTheHost(string kernel, string machine, string cpus, string sandbox)
    {
        GuestResult result = host.Run(host.CheckArguments(kernel, ["disk"], "--machine", machine, "--cpus", cpus, "--sandbox", sandbox));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal(cpus, result.Value("queues"));
        Assert.True(result.Value("raw") == "ok", result.Describe());
        Assert.True(result.Value("large") == "ok", result.Describe());
        Assert.True(result.Value("format") == "ok", result.Describe());
        Assert.True(result.Value("files") == "ok", result.Describe());
        Assert.True(result.Value("buffered") == "ok", result.Describe());
        Assert.True(result.Value("check") == "ok", result.Describe());
        Assert.Equal("clean", result.Value("host.fsck"));
        Assert.Equal(result.Value("vda.sha256"), result.Value("host.a.sha256"));

        // 16 MiB less 8 MiB discarded, in sectors; zeroes may have lost their blocks too.
        Assert.True(result.Value("discard") == "ok", result.Describe());
        Assert.True(result.Value("zeroes") == "ok", result.Describe());
        Assert.Equal("1048576", result.Value("zeroed"));
        Assert.Equal(result.Value("vdb.sha256"), result.Value("host.b.sha256"));
        Assert.True(result.Value("host.b.blocks") is "16384" or "14336", result.Describe());
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    [Theory]
    [InlineData("6.12-cloud", "pc", "ours")]
    [InlineData("6.1-cloud", "microvm", "qemu")]
    public void Run_DisksOfAnotherProcessThatDies_NothingIsLostAndOneGrows(string kernel, string machine, string served)
    {
        GuestResult result = host.Run(host.CheckArguments(kernel, ["served", served], "--machine", machine));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        foreach (string step in (ReadOnlySpan<string>)["raw", "large", "format", "files", "buffered", "check", "discard", "zeroes", "grown", "write_end"])
            Assert.True(result.Value(step) == "ok", $"{step}\n{result.Describe()}");
        Assert.Equal(result.Value("vdb.end"), result.Value("host.b.end"));
        Assert.Equal("clean", result.Value("host.fsck"));
        Assert.Equal(result.Value("vda.sha256"), result.Value("host.a.sha256"));
        Assert.Equal(result.Value("vdb.sha256"), result.Value("host.b.sha256"));
        Assert.Equal("1048576", result.Value("zeroed"));
        Assert.True(result.Value("errors") == "0", result.Describe());
        int deaths = int.Parse(result.Value("host.deaths")!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(deaths >= 2, result.Describe());
        // The last one may die when the guest is done already.
        int returns = RunningProcess.Count(result.Output, "a vhost-user back end is there again and goes on");
        if (served == "ours")
            Assert.InRange(returns, 2 * (deaths - 1), 2 * deaths);
        else
            Assert.InRange(returns, deaths, deaths + 1);
    }

    [Fact]
    public void Run_MonitorIsKilledWhileWriting_FlushedDataIsThereAndTheImageIsFree()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["flush"]));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(int.Parse(result.Value("host.flushed")!, System.Globalization.CultureInfo.InvariantCulture) >= 12, result.Describe());
        Assert.Equal("0", result.Value("host.missing"));
        Assert.True(result.Value("mount") == "ok", result.Describe());
        Assert.Equal("0", result.Value("missing"));
        Assert.True(result.Value("check") == "ok", result.Describe());
    }

    [Fact]
    public void Run_ImageChangesSizeAndTapGoesAway_GuestNoticesAndLivesOn()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["changes"]));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal("32768", result.Value("sectors"));
        Assert.True(result.Value("grown") == "ok", result.Describe());
        Assert.True(result.Value("write_end") == "ok", result.Describe());
        Assert.Equal(result.Value("end_expected"), result.Value("end"));
        Assert.True(result.Value("shrunk") == "ok", result.Describe());
        Assert.True(result.Value("ping") == "ok", result.Describe());
        Assert.True(result.Value("carrier_lost") == "ok", result.Describe());
        Assert.True(result.Value("io") == "ok", result.Describe());
        Assert.True(result.Value("rebound") == "ok", result.Describe());
        Assert.True(result.Value("errors") == "0", result.Describe());
        Assert.Equal(1, RunningProcess.Count(result.Output, "tap guest0 is gone"));
    }
}
