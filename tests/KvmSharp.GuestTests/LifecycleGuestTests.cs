namespace KvmSharp.GuestTests;

/// <summary>Every way a guest ends, or is asked to end, and the status that tells it.</summary>
[Collection(MachineGuests.Name)]
public sealed class LifecycleGuestTests(GuestHost host)
{
    private const string Ready = "KVMSHARP-GUEST-READY";
    private const int GuestFailed = 6;

    [Fact]
    public void Run_GuestPowersOff_EndsWithZero()
    {
        GuestResult result = host.Run(host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=poweroff", "--memory", "256M"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.ReachedUserSpace, result.Describe());
    }

    [Fact]
    public void Run_GuestRebootsWithNoReboot_EndsWithZero()
    {
        GuestResult result = host.Run(host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=reboot", "--memory", "256M", "--no-reboot"));

        Assert.True(result.Status == 0, result.Describe());
        Assert.Equal(1, RunningProcess.Count(result.Output, Ready));
    }

    [Theory]
    [InlineData("acpi", "bzImage")]
    [InlineData("kbd", "pvh")]
    public void Run_GuestReboots_BootsAgain(string way, string protocol)
    {
        using RunningProcess guest = host.Start(host.Arguments("6.12-cloud", protocol, $"kvmsharp.test=reboot reboot={way}", "--memory", "256M"));

        Assert.True(guest.WaitForOutput(Ready, 2, host.BootLimit), guest.Output);

        // It would go on for ever; the guest is somewhere in its next boot and does not listen to a power button.
        guest.Signal("TERM");
        Assert.NotNull(guest.WaitForExit(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public void Run_GuestPanics_SaysSo()
    {
        GuestResult result = host.Run(host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=panic", "--memory", "256M", "--no-reboot"), GuestFailed);

        Assert.True(result.Status == GuestFailed, result.Describe());
        Assert.Contains("Kernel panic", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_GuestTripleFaultsWithNoReboot_SaysSo()
    {
        GuestResult result = host.Run(
            host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=reboot reboot=triple", "--memory", "256M", "--no-reboot"), GuestFailed);

        Assert.True(result.Status == GuestFailed, result.Describe());
        Assert.True(result.ReachedUserSpace, result.Describe());
    }

    [Fact]
    public void Run_Sigterm_GuestPowersOffByItself()
    {
        using RunningProcess guest = host.Start(host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=idle", "--memory", "256M"));
        Assert.True(guest.WaitForOutput("KVMSHARP idle button=present", 1, host.BootLimit), guest.Output);

        guest.Signal("TERM");
        int? status = guest.WaitForExit(TimeSpan.FromSeconds(60));

        Assert.True(status == 0, $"status {status}: {guest.Output}");
        Assert.Contains("KVMSHARP power_button=pressed", guest.Output, StringComparison.Ordinal);
    }
}
