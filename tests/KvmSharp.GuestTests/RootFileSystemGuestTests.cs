using System.Globalization;

namespace KvmSharp.GuestTests;

/// <summary>Debian with systemd boots from an ext4 file system on a virtio disk, is on the network, and lets root in on the serial console.</summary>
[Collection(MachineGuests.Name)]
public sealed class RootFileSystemGuestTests(GuestHost host)
{
    private const string Prompt = "root@debian:~# ";

    [Theory]
    [InlineData("6.12", "cloud", 1)]
    [InlineData("6.1", "generic", 2)]
    public void Run_DebianOnDisk_LogsInPassesItsCheckAndObeysThePowerButton(string series, string flavour, int cpus)
    {
        string disk = host.CopyToScratch(GuestHost.RootImage());
        try
        {
            string count = cpus.ToString(CultureInfo.InvariantCulture);
            using RunningProcess guest = host.Start(
            [
                RepositoryPaths.Script("lib/with-tap"),
                RepositoryPaths.Program, "run", "--kernel", host.Kernel($"{series}-{flavour}").BzImage, "--initrd", GuestHost.RootInitramfs(series, flavour),
                "--memory", "512M", "--cpus", count, "--disk", $"{disk},cache=unsafe", "--net", "{tap}", "--rng", "--grace", "120s",
                "--append", $"{GuestHost.CommonAppend} root=/dev/vda ip={{guest}}::{{host}}:255.255.255.252:debian::none kvmsharp.peer={{host}} kvmsharp.expect.cpus={count}",
            ]);
            Assert.True(guest.WaitForOutput(Prompt, 1, host.BootLimit), guest.Output);

            guest.Write("kvmsharp-check\n");
            bool judged = guest.WaitForOutput("KVMSHARP verdict=", 1, host.BootLimit);
            guest.Signal("TERM");
            int? status = guest.WaitForExit(host.BootLimit);

            GuestResult result = new(status, guest.Output);
            Assert.True(judged && result.Value("verdict") == "pass", result.Describe());
            Assert.Equal("running", result.Value("system"));
            Assert.Equal("none", result.Value("failed_units"));
            Assert.Equal("ext4 /dev/vda", result.Value("root"));
            Assert.Equal("virtio_rng.0", result.Value("rng"));
            Assert.Equal("ok", result.Value("ping"));
            Assert.StartsWith("hello from the host", result.Value("fetched"), StringComparison.Ordinal);
            // Only systemd, told by the button, unmounts before the power goes.
            Assert.True(status == 0, result.Describe());
            Assert.Contains("reboot: Power down", result.Output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(disk);
        }
    }
}
