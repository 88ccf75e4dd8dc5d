namespace KvmSharp.GuestTests;

/// <summary>What the host sees of a confined program that runs a real guest.</summary>
[Collection(MachineGuests.Name)]
public sealed class SandboxGuestTests(GuestHost host)
{
    /// <summary>The guest resets once: what the program makes after that is confined as well.</summary>
    [Theory]
    [InlineData("6.12-cloud", "")]
    [InlineData("6.1-cloud", ",vhost=on")]
    public void Run_AsRoot_EveryThreadIsConfined(string kernel, string keys)
    {
        string[] command = host.Arguments(kernel, "bzImage", "kvmsharp.test=reboot", "--memory", "256M", "--cpus", "2", "--log-level", "info");
        GuestResult result = host.Run(["bash", RepositoryPaths.TestScript("host.sh"), "sandbox", keys, .. command], expected: 10);

        Assert.True(result.Status == 10, result.Describe());
        Assert.Contains("info: sandbox: confined: user nobody", result.Output, StringComparison.Ordinal);
        Assert.True(int.Parse(result.Value("host.threads")!, System.Globalization.CultureInfo.InvariantCulture) >= 6, result.Describe());
        Assert.Equal(result.Value("host.threads"), result.Value("host.confined"));
        Assert.Equal("mnt net ipc uts", result.Value("host.own"));
        Assert.Equal("0", result.Value("host.root"));
        Assert.Equal("a.img data log", result.Value("host.left"));
    }
}
