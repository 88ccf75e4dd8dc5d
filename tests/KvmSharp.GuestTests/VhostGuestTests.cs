using System.Globalization;

namespace KvmSharp.GuestTests;

/// <summary>Network interfaces that the host's kernel serves, and what becomes of them where it cannot.</summary>
[Collection(DataPathGuests.Name)]
public sealed class VhostGuestTests(GuestHost host)
{
    private const string Forced = "net:,vhost=on,vhostforce=on";
    private const string FallBack = "no vhost, packets take the way through this program: ";

    [Theory]
    [InlineData("6.12-cloud", Forced)]
    [InlineData("6.1-cloud", Forced + ",mrg_rxbuf=off,event_idx=off")]
    [InlineData("6.12-cloud", Forced + ",packed=on,vectors=0")]
    [InlineData("6.12-cloud", Forced + ",irqfd=off,ioeventfd=off")]
    public void Run_Vhost_CarriesDataThatNeverPassesThroughTheProgram(string kernel, string keys)
    {
        GuestResult result = host.Run(host.CheckArguments(kernel, ["vhost", keys], "--cpus", "2"));

        AssertTraffic(result);
        Assert.Equal("2", result.Value("host.threads"));
        Assert.True(Number(result, "host.read_kib") < 1024 && Number(result, "host.written_kib") < 1024, result.Describe());

        // The kernel's vhost knows no packed rings.
        Assert.Equal('0', result.Value("eth0.features")![34]);
    }

    [Fact]
    public void Run_VhostOnMicrovm_CarriesData()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["vhost", Forced], "--machine", "microvm", "--cpus", "2"));

        AssertTraffic(result);
        Assert.Equal("2", result.Value("host.threads"));
    }

    [Theory]
    [InlineData("absent", "there is no /dev/vhost-net: load the driver with 'modprobe vhost_net'")]
    [InlineData("forbidden", "no permission on /dev/vhost-net: run as root, or allow it with 'chmod 666 /dev/vhost-net'")]
    public void Run_NoVhost_WarnsOnceAndServesByItself(string device, string reason)
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["vhost", "net:,vhost=on", "dev:" + device], "--cpus", "2"));

        AssertTraffic(result);
        Assert.Equal(1, RunningProcess.Count(result.Output, FallBack + reason));
        Assert.Equal("0", result.Value("host.threads"));
        Assert.True(Number(result, "host.read_kib") > 3072, result.Describe());
    }

    [Theory]
    [InlineData("absent", "there is no /dev/vhost-net: load the driver with 'modprobe vhost_net'")]
    [InlineData("forbidden", "no permission on /dev/vhost-net: run as root, or allow it with 'chmod 666 /dev/vhost-net'")]
    public void Run_NoVhostAndForced_IsAHostLimit(string device, string reason)
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["vhost", Forced, "dev:" + device]), expected: 4);

        Assert.Equal(4, result.Status);
        Assert.Contains(reason, result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(FallBack, result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_DriversLeaveABusyVhost_ItComesBack()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["rebind", Forced], "--cpus", "2"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("good") == "100", result.Describe());
        AssertTransfer(result, "net");
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    [Fact]
    public void Run_GuestResetsWithABusyVhost_ItServesTheNextBoot()
    {
        string[] command = host.CheckArguments("6.12-cloud", ["reboot", Forced], "--cpus", "2");
        GuestResult result = host.Run([.. command.Where(word => word != "--no-reboot")]);

        Assert.True(result.Status == 0, result.Describe());
        Assert.Equal(2, RunningProcess.Count(result.Output, "KVMSHARP-GUEST-READY"));
        Assert.True(result.Value("busy") == "ok", result.Describe());
        Assert.True(result.Value("ping") == "ok", result.Describe());
        AssertTransfer(result, "net");
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    private static void AssertTraffic(GuestResult result)
    {
        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        foreach (string name in (string[])["flood", "tcp.out", "tcp.in", "counted", "one_queue", "one_queue_ping", "two_queues", "two_queues_ping"])
            Assert.True(result.Value(name) == "ok", result.Describe());
        Assert.Equal("0%", result.Value("lost"));
        AssertTransfer(result, "net");
        AssertTransfer(result, "again");
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    private static void AssertTransfer(GuestResult result, string name)
    {
        Assert.True(result.Value("host.data") == result.Value($"{name}.received"), result.Describe());
        Assert.True(result.Value("host.data") == result.Value($"{name}.sent"), result.Describe());
    }

    private static int Number(GuestResult result, string name) => int.Parse(result.Value(name) ?? "-1", CultureInfo.InvariantCulture);
}
