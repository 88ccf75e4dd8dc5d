namespace KvmSharp.GuestTests;

/// <summary>Network interfaces lose and change nothing, with the offloads of the host and without.</summary>
[Collection(DataPathGuests.Name)]
public sealed class NetGuestTests(GuestHost host)
{
    [Theory]
    [InlineData("6.12-cloud")]
    [InlineData("6.1-cloud")]
    public void Run_NetworkUnderLoad_NothingIsLost(string kernel)
    {
        GuestResult result = host.Run(host.CheckArguments(kernel, ["net"], "--cpus", "2"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal("2", result.Value("queues"));
        Assert.Equal("2", result.Value("combined"));
        Assert.True(result.Value("flood") == "ok", result.Describe());
        Assert.Equal("0%", result.Value("lost"));
        Assert.True(result.Value("large_flood") == "ok", result.Describe());
        Assert.Equal("0%", result.Value("large_lost"));
        Assert.Equal("on,on", result.Value("offloads"));
        Assert.True(result.Value("with.out") == "ok", result.Describe());
        Assert.True(result.Value("with.in") == "ok", result.Describe());
        Assert.Equal(result.Value("host.data"), result.Value("with.received"));
        Assert.Equal(result.Value("host.data"), result.Value("with.sent"));
        Assert.Equal("off,off", result.Value("offloads_after"));
        Assert.True(result.Value("without.out") == "ok", result.Describe());
        Assert.True(result.Value("without.in") == "ok", result.Describe());
        Assert.Equal(result.Value("host.data"), result.Value("without.received"));
        Assert.Equal(result.Value("host.data"), result.Value("without.sent"));
        Assert.True(result.Value("one_queue_ping") == "ok", result.Describe());
        Assert.True(result.Value("two_queues_ping") == "ok", result.Describe());
        Assert.True(result.Value("errors") == "0", result.Describe());
    }
}
