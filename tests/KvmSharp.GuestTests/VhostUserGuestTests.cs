namespace KvmSharp.GuestTests;

/// <summary>Networks and file systems that other processes serve, which die and come back: DPDK's vhost, our own switch, Open vSwitch and virtiofsd.</summary>
[Collection(DataPathGuests.Name)]
public sealed class VhostUserGuestTests(GuestHost host)
{
    private const string Gone = "the vhost-user back end is gone", Returned = "a vhost-user back end is there again and goes on";

    [Theory]
    [InlineData("6.12-cloud", "1", "pc", new string[0])]
    [InlineData("6.12-cloud", "2", "pc", new[] { "server" })]
    [InlineData("6.1-cloud", "1", "microvm", new[] { "net:,mrg_rxbuf=off,csum=off,event_idx=off,mtu=1400" })]
    public void Run_NetOfDpdkThatDies_CarriesDataBeforeAndAfter(string kernel, string queues, string machine, string[] words)
    {
        GuestResult result = host.Run(host.ModuleCheckArguments(kernel, [], ["switched", $"queues:{queues}", .. words], $"queues={queues}", "--machine", machine, "--cpus", queues));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        string[] more = queues == "2" ? ["one_queue", "one_queue_ping", "two_queues", "two_queues_ping"] : [];
        foreach (string name in (string[])["reachable", "flood", "tcp.out", "tcp.in", "carrier_lost", "carrier_back", "reachable_again", .. more])
            Assert.True(result.Value(name) == "ok", $"{name}\n{result.Describe()}");
        Assert.Equal("0%", result.Value("lost"));
        foreach (string name in (string[])["net.received", "net.sent", "again.received", "again.sent"])
            Assert.True(result.Value("host.data") == result.Value(name), $"{name}\n{result.Describe()}");
        Assert.True(result.Value("errors") == "0", result.Describe());
        Assert.Equal(1, RunningProcess.Count(result.Output, Gone));
        Assert.Equal(1, RunningProcess.Count(result.Output, Returned));
    }

    /// <summary>One with split rings, the other with packed ones.</summary>
    [Fact]
    public void Run_TwoGuestsOnOurSwitchThatDies_ExchangeDataBeforeAndAfter()
    {
        GuestResult result = host.Run(host.ModuleCheckArguments("6.12-cloud", [], ["paired", "ours"], "switch=dies"));

        AssertExchange(result, "carrier_lost", "carrier_back", "reachable_again");
        Assert.Equal(result.Value("other.data"), result.Value("again.received"));
        Assert.Equal(result.Value("other.data"), result.Value("again.sent"));
        Assert.Equal('1', result.Value("eth0.features")![34]);
        Assert.Equal(2, RunningProcess.Count(result.Output, Gone));
        Assert.Equal(2, RunningProcess.Count(result.Output, Returned));
    }

    /// <summary>One waits for the switch to connect, the other connects to it, and uses packed rings.</summary>
    [Fact]
    public void Run_TwoGuestsOnOpenVSwitch_ExchangeData()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["paired", "ovs:" + GuestHost.OpenVSwitch()]));

        AssertExchange(result);
        Assert.Equal('1', result.Value("eth0.features")![34]);
    }

    [Theory]
    [InlineData("6.12-cloud", "pc", "2", new string[0])]
    [InlineData("6.1-cloud", "microvm", "1", new[] { "virtiofs" })]
    public void Run_FolderOfVirtiofsdThatDies_IsTheSameOnBothSidesAndMountsAgain(string kernel, string machine, string cpus, string[] modules)
    {
        GuestResult result = host.Run(host.ModuleCheckArguments(kernel, modules, ["shared"], "", "--machine", machine, "--cpus", cpus));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        foreach (string name in (ReadOnlySpan<string>)["mount", "io", "writer_ended", "remount", "io_again"])
            Assert.True(result.Value(name) == "ok", $"{name}\n{result.Describe()}");
        Assert.Equal(result.Value("host.tree.host"), result.Value("tree.host"));
        Assert.Equal(result.Value("host.tree.guest"), result.Value("tree.guest"));
        Assert.Equal(result.Value("host.tree.guest"), result.Value("tree.again"));
        Assert.Equal("0", result.Value("stress"));
        Assert.Null(result.Value("stress_failed"));
        Assert.True(result.Value("errors") == "0", result.Describe());
        Assert.Equal(1, RunningProcess.Count(result.Output, Gone));
        Assert.Equal(1, RunningProcess.Count(result.Output, Returned));
    }

    /// <summary>From the guest that is host to the other one, and back.</summary>
    private static void AssertExchange(GuestResult result, params string[] more)
    {
        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0" && result.Value("other.script_status") == "0", result.Describe());
        foreach (string name in (string[])["reachable", "flood", "tcp.out", "tcp.in", .. more])
            Assert.True(result.Value(name) == "ok", $"{name}\n{result.Describe()}");
        Assert.Equal("0%", result.Value("lost"));
        Assert.NotNull(result.Value("other.data"));
        foreach (string name in (string[])["net.received", "net.sent"])
            Assert.True(result.Value("other.data") == result.Value(name), $"{name}\n{result.Describe()}");
        Assert.True(result.Value("errors") == "0" && result.Value("other.errors") == "0", result.Describe());
    }
}
