using System.Diagnostics;
using System.Globalization;
using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Cli.Tests.Support;
using static KvmSharp.TestKit.NetworkNamespace;

namespace KvmSharp.Cli.Tests;

/// <summary>
/// Images and taps that cannot be used: the program, run or dry, says so in one line with the way out, ends with the documented
/// status and leaves nothing behind. Needs root.
/// </summary>
public sealed class DeviceInputTests : IDisposable
{
    /// <summary>Without this even root is bound by permission bits.</summary>
    private const string Unprivileged = "exec setpriv --bounding-set -dac_override,-dac_read_search,-net_admin \"$@\"";

    private readonly ScratchFolder _scratch = new();
    private readonly string _kernel;

    public DeviceInputTests() => _kernel = _scratch.Write("kernel", TestKernel.Exit);

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Disk_Missing_IsBadUsage() => AssertRefused(2, $"disk image {_scratch["no"]} does not exist: check the path, or make one with 'truncate -s 10G {_scratch["no"]}'", "--disk", _scratch["no"]);

    [Fact]
    public void Disk_Directory_IsBadUsage() => AssertRefused(2, $"disk image {_scratch.Root} is a directory: give a file or a block device", "--disk", _scratch.Root);

    [Fact]
    public void Disk_OddSize_IsBadUsage()
    {
        string image = _scratch.Write("odd", new byte[1000]);
        AssertRefused(2, $"disk image {image} is 1000 bytes long, not a multiple of 512: extend it with 'truncate -s 1024 {image}'", "--disk", image);
    }

    [Fact]
    public void Disk_NotWritable_IsBadUsage()
    {
        string image = _scratch.Write("image", new byte[4096]);
        File.SetUnixFileMode(image, UnixFileMode.UserRead);
        AssertRefusedInShell(Unprivileged, 2, $"disk image {image} is not writable: change its permissions, or use readonly=on", "--disk", image);
    }

    [Fact]
    public void Disk_LockedByAnotherVm_IsBadUsageAndNamesIt()
    {
        string image = _scratch.Write("image", new byte[4096]);
        using Process holder = CliProgram.Start("run", "--kernel", _scratch.Write("hang", TestKernel.SayAndHang), "--disk", image);
        Assert.Equal('o', (char)holder.StandardOutput.Read());

        AssertRefused(2, $"disk image {image} is in use by pid {holder.Id} (", "--disk", image);

        CliProgram.Signal(holder, Mono.Unix.Native.Signum.SIGQUIT);
        CliProgram.Finish(holder);
        Assert.Equal(TestKernel.ExitStatus, CliProgram.Run("run", "--kernel", _kernel, "--debug-exit", "--serial", "none", "--disk", image).Status);
    }

    [Fact]
    public void Disk_TooManyQueues_IsBadUsage() => AssertRefused(2, "--disk: queues must be between 1 and 256", "--disk", "d,queues=257");

    [Fact]
    public void Disk_UnknownIoThread_IsBadUsage() => AssertRefused(2, "there is no I/O thread 'fast'", "--disk", "d,iothread=fast");

    [Fact]
    public void Net_NameTooLong_IsBadUsage() => Run(() =>
        AssertRefused(2, "tap name 'sixteen-bytes-xx' is 16 bytes long, the kernel takes at most 15: choose a shorter one", "--net", "sixteen-bytes-xx"));

    [Fact]
    public void Net_TooManyQueues_IsBadUsage() => AssertRefused(2, "--net: queues must be between 1 and 64", "--net", "t0,queues=65");

    [Fact]
    public void Net_TapOfAnotherUser_IsBadUsage() => Run(() =>
    {
        Ip("tuntap add t0 mode tap user 1");
        AssertRefusedInShell(Unprivileged, 2, "tap t0 belongs to another user: run as its owner or as root, or use another name", "--net", "t0");
    });

    [Fact]
    public void Net_TapBusy_IsBadUsage() => Run(() =>
    {
        using TapBackend holder = TapBackend.Open(new TapOptions { Name = "t0" });
        AssertRefused(2, "tap t0 is in use by another process: stop it, or use another name", "--net", "t0");
    });

    [Fact]
    public void Net_MultiqueueTapBusy_IsBadUsage() => Run(() =>
    {
        using TapBackend holder = TapBackend.Open(new TapOptions { Name = "t0", QueuePairs = 2 });
        AssertRefused(2, "tap t0 is in use by another process: stop it, or use another name", "--net", "t0,queues=2");
    });

    [Fact]
    public void Net_BridgeAbsent_IsBadUsage() => Run(() =>
        AssertRefused(2, "bridge br7 does not exist: make it with 'ip link add br7 type bridge' and 'ip link set br7 up'", "--net", "t0,bridge=br7"));

    [Fact]
    public void Net_MayNotMakeTaps_IsHostCannot() => Run(() =>
        AssertRefusedInShell(Unprivileged, 4, "no permission to make tap t0: run as root, or have root make it with 'ip tuntap add t0 mode tap vnet_hdr user $USER'", "--net", "t0"));

    [Fact]
    public void Net_TunForbidden_IsHostCannot() => Run(() =>
    {
        string node = _scratch.Write("tun", "");
        File.SetUnixFileMode(node, UnixFileMode.None);
        AssertRefusedInShell(
            $"exec unshare -m sh -c 'mount --bind {node} /dev/net/tun && {Unprivileged}' sh \"$@\"", 4,
            "no permission on /dev/net/tun: run as root, or allow it with 'chmod 666 /dev/net/tun'", "--net", "t0");
    });

    [Fact]
    public void Net_TunAbsent_IsHostCannot() => Run(() => AssertRefusedInShell(
        "exec unshare -m sh -c 'mount -t tmpfs none /dev/net && exec \"$@\"' sh \"$@\"", 4, "there is no /dev/net/tun: load the driver with 'modprobe tun'", "--net", "t0"));

    [Fact]
    public void Net_DescriptorNotOpen_IsBadUsage() => AssertRefusedInShell("exec \"$@\"", 2, "--net: fd 99 is not open", "--net", "fd=99");

    [Fact]
    public void Net_DescriptorIsNoTap_IsBadUsage() =>
        AssertRefusedInShell("exec 7</dev/null; exec \"$@\"", 2, "descriptor 7 is not an open tap: pass one on which TUNSETIFF was done", "--net", "fd=7");

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Net_InheritedTap_IsUsed(int queues) => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0", QueuePairs = queues });
        List<INetQueue> open = [.. Enumerable.Range(0, queues).Select(tap.OpenQueue)];
        foreach (INetQueue queue in open)
            Assert.Equal(0, Libc.fcntl(queue.Poll.Value, LibcConstants.F_SETFD, 0));
        string net = "fd=" + string.Join(':', open.Select(q => q.Poll.Value));

        CliResult run = CliProgram.Finish(CliProgram.Start("run", "--kernel", _kernel, "--debug-exit", "--serial", "none", "--net", net));
        CliResult dry = CliProgram.Finish(CliProgram.Start("run", "--dry-run", "--kernel", _kernel, "--net", net));

        Assert.Equal((TestKernel.ExitStatus, ""), (run.Status, run.Error));
        Assert.Equal((0, ""), (dry.Status, dry.Error));
        Assert.Contains($"\"fd\": \"{net[3..]}\"", dry.Output, StringComparison.Ordinal);
    });

    [Fact]
    public void Net_DryRun_MakesNoTap() => Run(() =>
    {
        Ip("link add br0 type bridge");
        string before = NextInterface();

        CliResult dry = CliProgram.Run("run", "--dry-run", "--kernel", _kernel, "--net", "t0,bridge=br0,mtu=4000,queues=2", "--net", "", "--net", "t1");

        Assert.Equal((0, ""), (dry.Status, dry.Error));
        Assert.Equal(int.Parse(before, CultureInfo.InvariantCulture) + 1, int.Parse(NextInterface(), CultureInfo.InvariantCulture));
    });

    [Fact]
    public void Run_KernelMissingAfterDevicesAreThere_LeavesNoTap() => Run(() =>
    {
        string before = Ip("-o link show");

        CliResult result = CliProgram.Run("run", "--kernel", _scratch["nothing"], "--net", "t0", "--net", "");

        Assert.Equal(2, result.Status);
        Assert.Equal(before, Ip("-o link show"));
    });

    [Fact]
    public void Run_EveryVirtioOption_StartsTheMachine() => Run(() =>
    {
        string image = _scratch.Write("image", new byte[8192]);
        const string Common = ",packed=on,event_idx=off,indirect_desc=off,in_order=on,ioeventfd=off,irqfd=off,vectors=0,queue-size=64";

        CliResult result = CliProgram.Run(
            "run", "--kernel", _kernel, "--debug-exit", "--serial", "none", "--cpus", "2", "--iothread", "a,cpus=0,poll-max-ns=0", "--rng", "period=1s,iothread=a" + Common,
            "--disk", image + ",logical_block_size=4K,write-zeroes=off,iothread=a:5" + Common, "--net", "t0,queues=2,poll-max-ns=9,cpus=0,mrg_rxbuf=off,guest_csum=off" + Common);

        Assert.Equal((TestKernel.ExitStatus, ""), (result.Status, result.Error));
        Assert.DoesNotContain("t0", Ip("-o link show"), StringComparison.Ordinal);
    });

    /// <summary>Run and dry-run, in this process.</summary>
    private void AssertRefused(int status, string line, params string[] device)
    {
        AssertError(CliProgram.Run(["run", "--kernel", _kernel, "--serial", "none", .. device]), status, line);
        AssertError(CliProgram.Run(["run", "--dry-run", "--kernel", _kernel, "--serial", "none", .. device]), status, line);
    }

    /// <summary>The same as processes of a shell.</summary>
    private void AssertRefusedInShell(string script, int status, string line, params string[] device)
    {
        AssertError(CliProgram.Finish(CliProgram.StartShell(script, ["run", "--kernel", _kernel, "--serial", "none", .. device])), status, line);
        AssertError(CliProgram.Finish(CliProgram.StartShell(script, ["run", "--dry-run", "--kernel", _kernel, "--serial", "none", .. device])), status, line);
    }

    private static void AssertError(CliResult result, int status, string line)
    {
        string[] lines = result.Error.TrimEnd('\n').Split('\n');
        Assert.StartsWith("kvmsharp: " + line, lines[0], StringComparison.Ordinal);
        Assert.Equal(status, result.Status);
        Assert.InRange(lines.Length, 1, 2);
        Assert.All(lines.Skip(1), hint => Assert.StartsWith("kvmsharp: hint: ", hint, StringComparison.Ordinal));
        Assert.Empty(result.Output);
    }

    /// <summary>The number that the kernel gives to an interface made now; it counts up.</summary>
    private static string NextInterface()
    {
        Ip("link add probe type bridge");
        string line = Ip("-o link show probe");
        Ip("link delete probe");
        return line[..line.IndexOf(':', StringComparison.Ordinal)];
    }
}
