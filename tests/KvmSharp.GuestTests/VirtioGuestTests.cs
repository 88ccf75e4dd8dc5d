namespace KvmSharp.GuestTests;

/// <summary>Stock drivers find virtio devices, on PCI and behind registers that ACPI announces, and get data through them.</summary>
[Collection(MachineGuests.Name)]
public sealed class VirtioGuestTests(GuestHost host)
{
    /// <summary>Runs "$@" with two images: one that the guest changes, one it may only read, and says what they hold before and after.</summary>
    private const string WithImages = """
        d=$(mktemp -d /tmp/virtio.XXXXXX)
        trap 'rm -rf "$d"' EXIT
        head -c 4M /dev/urandom >"$d/a.img"
        head -c 1M /dev/urandom >"$d/b.img"
        echo "KVMSHARP host.before=$(sha256sum <"$d/a.img" | cut -d' ' -f1)"
        echo "KVMSHARP host.expected=$( (head -c 1M "$d/a.img"; head -c 1M "$d/a.img"; tail -c 2M "$d/a.img") | sha256sum | cut -d' ' -f1)"
        echo "KVMSHARP host.readonly=$(sha256sum <"$d/b.img" | cut -d' ' -f1)"
        status=0
        "$@" --disk "file=$d/a.img,serial=first,queues=2" --disk "file=$d/b.img,readonly=on,cache=writethrough" || status=$?
        echo "KVMSHARP host.after=$(sha256sum <"$d/a.img" | cut -d' ' -f1)"
        exit $status
        """;

    /// <summary>Runs "$@" in a network namespace with a persistent tap, a web server with a file, and a listener that keeps what it gets.</summary>
    private const string WithNetwork = """
        d=$(mktemp -d /tmp/virtio.XXXXXX)
        trap 'rm -rf "$d"; kill $(jobs -p) 2>/dev/null' EXIT
        head -c 3M /dev/urandom >"$d/data"
        echo "KVMSHARP host.data=$(sha256sum <"$d/data" | cut -d' ' -f1)"
        ip link set lo up
        ip tuntap add guest0 mode tap vnet_hdr multi_queue && ip address add 10.9.0.1/24 dev guest0 && ip link set guest0 up
        busybox httpd -f -p 10.9.0.1:8000 -h "$d" &
        # The listener's input stays open: it would hang up at its end.
        mkfifo "$d/never" && sleep 600 >"$d/never" &
        until [ -p "$d/never" ]; do sleep 0.1; done
        busybox nc -l -p 8001 <"$d/never" >"$d/got" &
        status=0
        "$@" || status=$?
        echo "KVMSHARP host.got=$(sha256sum <"$d/got" | cut -d' ' -f1)"
        exit $status
        """;

    [Theory]
    [InlineData("pc", 2)]
    [InlineData("microvm", 1)]
    public void Run_Network_CarriesPingsAndTransfersBothWays(string machine, int queues)
    {
        string[] run = host.Arguments(
            "6.12-cloud", "bzImage", "kvmsharp.test=virtio kvmsharp.address=10.9.0.2 kvmsharp.peer=10.9.0.1",
            "--machine", machine, "--memory", "256M", "--cpus", "2", "--net", $"guest0,queues={queues},mac=52:54:00:12:34:56");
        run[Array.IndexOf(run, "--initrd") + 1] = GuestHost.Initramfs("6.12", "cloud", "virtio_net", "virtio_mmio");

        GuestResult result = host.Run(["unshare", "--net", "bash", "-c", WithNetwork, "bash", .. run]);

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("verdict") == "done", result.Describe());
        Assert.Equal("52:54:00:12:34:56", result.Value("net.mac"));
        Assert.Equal("1500", result.Value("net.mtu"));
        Assert.Equal(queues.ToString(System.Globalization.CultureInfo.InvariantCulture), result.Value("net.queues"));
        Assert.Equal("1", result.Value("net.carrier"));
        Assert.Equal("ok", result.Value("net.ping"));
        Assert.Equal(result.Value("host.data"), result.Value("net.received"));
        Assert.Equal(result.Value("host.data"), result.Value("host.got"));
    }

    [Theory]
    [InlineData("pc")]
    [InlineData("microvm")]
    public void Run_VirtioDevices_CarryData(string machine)
    {
        string[] run = host.Arguments("6.12-cloud", "bzImage", "kvmsharp.test=virtio", "--machine", machine, "--memory", "256M", "--cpus", "2", "--rng");
        run[Array.IndexOf(run, "--initrd") + 1] = GuestHost.Initramfs("6.12", "cloud", "virtio_rng", "virtio_blk", "virtio_mmio");

        GuestResult result = host.Run(["bash", "-c", WithImages, "bash", .. run]);

        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("verdict") == "done", result.Describe());
        Assert.Equal("virtio_rng.0", result.Value("rng"));
        Assert.Equal("64", result.Value("rng_bytes"));
        Assert.Equal("8192", result.Value("vda.sectors"));
        Assert.Equal("first", result.Value("vda.serial"));
        Assert.Equal("2", result.Value("vda.queues"));
        Assert.Equal("write back", result.Value("vda.cache"));
        Assert.Equal(result.Value("host.before"), result.Value("vda.sha256"));
        Assert.Equal(result.Value("host.expected"), result.Value("vda.sha256_after"));
        Assert.Equal(result.Value("host.expected"), result.Value("host.after"));
        Assert.Equal("1", result.Value("vdb.readonly"));
        Assert.Equal("write through", result.Value("vdb.cache"));
        Assert.Equal("failed", result.Value("vdb.write"));
        Assert.Equal(result.Value("host.readonly"), result.Value("vdb.sha256_after"));
    }
}
