namespace KvmSharp.GuestTests;

/// <summary>Linux's stock driver takes the e1000 for a real one, and no byte is lost or changed on any of its ways.</summary>
[Collection(MachineGuests.Name)]
public sealed class E1000GuestTests(GuestHost host)
{
    [Theory]
    [InlineData("6.12-generic", "1", "")]
    [InlineData("6.1-generic", "2", ",irqfd=on")]
    public void Run_E1000UnderLoad_NothingIsLost(string kernel, string cpus, string keys)
    {
        GuestResult result = host.Run(host.ModuleCheckArguments(kernel, ["e1000", "8021q"], ["e1000", $"net:{keys}"], "", "--cpus", cpus));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal("e1000", result.Value("driver"));
        Assert.Equal("1000", result.Value("speed"));
        Assert.Equal("on,on", result.Value("offloads"));
        Assert.True(result.Value("flood") == "ok", result.Describe());
        Assert.Equal("0%", result.Value("lost"));
        Assert.True(result.Value("with.out") == "ok", result.Describe());
        Assert.True(result.Value("with.in") == "ok", result.Describe());
        AssertTransferred(result, "with");
        Assert.True(result.Value("large_flood") == "ok", result.Describe());
        AssertTransferred(result, "large");
        AssertTransferred(result, "tagged");
        Assert.Equal("off,off", result.Value("offloads_after"));
        Assert.True(result.Value("without.out") == "ok", result.Describe());
        Assert.True(result.Value("without.in") == "ok", result.Describe());
        AssertTransferred(result, "without");
        Assert.True(result.Value("self_test") == "ok", result.Describe());
        Assert.Equal("3", result.Value("reloads"));
        Assert.True(result.Value("promiscuous") == "ok", result.Describe());
        Assert.True(result.Value("link_lost") == "ok", result.Describe());
        Assert.True(result.Value("link_back") == "ok", result.Describe());
        AssertTransferred(result, "after");
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    private static void AssertTransferred(GuestResult result, string label)
    {
        Assert.Equal(result.Value("host.data"), result.Value($"{label}.received"));
        Assert.Equal(result.Value("host.data"), result.Value($"{label}.sent"));
    }
}
