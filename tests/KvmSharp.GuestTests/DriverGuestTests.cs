namespace KvmSharp.GuestTests;

/// <summary>Drivers give devices up and take them again, in the middle of what they do.</summary>
[Collection(MachineGuests.Name)]
public sealed class DriverGuestTests(GuestHost host)
{
    [Fact]
    public void Run_DriversLeaveBusyDevicesAHundredTimes_DevicesComeBack()
    {
        GuestResult result = host.Run(host.CheckArguments("6.12-cloud", ["rebind"], "--cpus", "2"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.True(result.Value("good") == "100", result.Describe());
        Assert.Equal(result.Value("host.head"), result.Value("sha256"));
        Assert.True(result.Value("io") == "ok", result.Describe());
        Assert.Equal(result.Value("host.data"), result.Value("net.received"));
        Assert.Equal(result.Value("host.data"), result.Value("net.sent"));
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    [Theory]
    [InlineData("pc")]
    [InlineData("microvm")]
    public void Run_GuestResetsWithBusyDevices_TheyServeTheNextBoot(string machine)
    {
        string[] command = host.CheckArguments("6.12-cloud", ["reboot"], "--machine", machine, "--cpus", "2");
        GuestResult result = host.Run([.. command.Where(word => word != "--no-reboot")]);

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.Equal(2, RunningProcess.Count(result.Output, "KVMSHARP-GUEST-READY"));
        Assert.True(result.Value("first") == "ok", result.Describe());
        Assert.True(result.Value("busy") == "ok", result.Describe());
        Assert.True(result.Value("data") == "kept", result.Describe());
        Assert.True(result.Value("second") == "ok", result.Describe());
        Assert.True(result.Value("ping") == "ok", result.Describe());
        Assert.Equal(result.Value("host.data"), result.Value("net.received"));
        Assert.Equal(result.Value("host.data"), result.Value("net.sent"));
        Assert.True(result.Value("errors") == "0", result.Describe());
    }
}
