using System.Globalization;

namespace KvmSharp.GuestTests;

/// <summary>
/// What can be turned on and off is on or off for the guest, and data is right either way. Each device of a guest is a case of its own:
/// the scripts make one disk per word "disk:KEYS" and one interface per word "net:KEYS".
/// </summary>
[Collection(DataPathGuests.Name)]
public sealed class VirtioFeatureGuestTests(GuestHost host)
{
    // Numbers of linux/virtio_config.h, virtio_ring.h, virtio_blk.h and virtio_net.h: the guest's kernel counts them in sysfs.
    private const int IndirectDesc = 28, EventIdx = 29, Version1 = 32, RingPacked = 34, InOrder = 35, BlkMultiqueue = 12;
    private const int Csum = 0, GuestCsum = 1, GuestTso4 = 7, HostTso4 = 11, MergeableBuffers = 15, ControlQueue = 17, NetMultiqueue = 22;

    [Theory]
    [InlineData("6.12-cloud")]
    [InlineData("6.1-cloud")]
    public void Run_FeaturesOnPci_AreNegotiatedAsAskedAndCarryData(string kernel)
    {
        GuestResult result = host.Run(host.CheckArguments(
            kernel,
            [
                "features", "disk:,queues=2,poll-max-ns=0", "disk:,packed=on,queues=2", "disk:,event_idx=off", "disk:,indirect_desc=off", "disk:,packed=on,event_idx=off,indirect_desc=off",
                "disk:,vectors=0", "disk:,ioeventfd=off,irqfd=off,poll-max-ns=0", "disk:,packed=on,in_order=on,queues=1", "net:,queues=2", "net:,packed=on,queues=2",
                "net:,mrg_rxbuf=off", "net:,event_idx=off,indirect_desc=off,vectors=0", "net:,ioeventfd=off,irqfd=off,csum=off,guest_csum=off", "net:,packed=on,mrg_rxbuf=off,ctrl_vq=off", "--",
            ],
            "--cpus", "2", "--stats"));

        AssertEnded(result);
        AssertDisk(result, "vda", on: [Version1, IndirectDesc, EventIdx, BlkMultiqueue], off: [RingPacked, InOrder], vectors: 3);
        AssertDisk(result, "vdb", on: [Version1, IndirectDesc, EventIdx, BlkMultiqueue, RingPacked], off: [InOrder], vectors: 3);
        AssertDisk(result, "vdc", on: [Version1, IndirectDesc], off: [EventIdx, RingPacked], vectors: 3);
        AssertDisk(result, "vdd", on: [Version1, EventIdx], off: [IndirectDesc, RingPacked], vectors: 3);
        AssertDisk(result, "vde", on: [Version1, RingPacked], off: [IndirectDesc, EventIdx], vectors: 3);
        AssertDisk(result, "vdf", on: [Version1, IndirectDesc, EventIdx], off: [RingPacked], vectors: 0);
        AssertDisk(result, "vdg", on: [Version1, IndirectDesc, EventIdx], off: [RingPacked], vectors: 3);

        // Without doorbells each kick is an exit, and nobody polls who could spare one; otherwise these disks are alike.
        Assert.True(Exits(result, "disk6") >= Exits(result, "disk0") + 20, result.Describe());

        // These kernels' drivers do not know of buffers used in order.
        AssertDisk(result, "vdh", on: [Version1, RingPacked], off: [InOrder, BlkMultiqueue], vectors: 2);

        AssertNet(result, "eth0", on: [Version1, IndirectDesc, EventIdx, MergeableBuffers, NetMultiqueue, Csum, GuestTso4, HostTso4], off: [RingPacked], vectors: 5);
        AssertNet(result, "eth1", on: [Version1, IndirectDesc, EventIdx, MergeableBuffers, NetMultiqueue, RingPacked], off: [], vectors: 5);
        AssertNet(result, "eth2", on: [Version1, ControlQueue], off: [MergeableBuffers, NetMultiqueue, RingPacked], vectors: 3);
        AssertNet(result, "eth3", on: [Version1, MergeableBuffers], off: [IndirectDesc, EventIdx, RingPacked], vectors: 0);
        AssertNet(result, "eth4", on: [Version1, MergeableBuffers], off: [Csum, GuestCsum, GuestTso4, HostTso4], vectors: 3);
        AssertNet(result, "eth5", on: [Version1, RingPacked], off: [MergeableBuffers, ControlQueue], vectors: 3);
    }

    [Fact]
    public void Run_FeaturesBehindMmio_AreNegotiatedAsAskedAndCarryData()
    {
        GuestResult result = host.Run(host.CheckArguments(
            "6.12-cloud",
            ["features", "disk:,packed=on,queues=2", "disk:,event_idx=off,indirect_desc=off", "disk:,ioeventfd=off", "net:,packed=on,queues=2", "net:,mrg_rxbuf=off,ioeventfd=off", "--"],
            "--machine", "microvm", "--cpus", "2"));

        AssertEnded(result);
        AssertDisk(result, "vda", on: [Version1, IndirectDesc, EventIdx, BlkMultiqueue, RingPacked], off: [], vectors: 0);
        AssertDisk(result, "vdb", on: [Version1], off: [IndirectDesc, EventIdx, RingPacked], vectors: 0);
        AssertDisk(result, "vdc", on: [Version1, IndirectDesc, EventIdx], off: [RingPacked], vectors: 0);
        AssertNet(result, "eth0", on: [Version1, MergeableBuffers, NetMultiqueue, RingPacked], off: [], vectors: 0);
        AssertNet(result, "eth1", on: [Version1], off: [MergeableBuffers, NetMultiqueue, RingPacked], vectors: 0);
    }

    private static int Exits(GuestResult result, string device)
    {
        string line = result.Output.Split('\n').Single(line => line.Contains($"device {device} ", StringComparison.Ordinal));
        return int.Parse(line[line.LastIndexOf(' ')..], CultureInfo.InvariantCulture);
    }

    private static void AssertEnded(GuestResult result)
    {
        Assert.True(result.Status == 0, result.Describe());
        Assert.True(result.Value("script_status") == "0", result.Describe());
        Assert.True(result.Value("errors") == "0", result.Describe());
    }

    private static void AssertDisk(GuestResult result, string name, int[] on, int[] off, int vectors)
    {
        Assert.True(result.Value($"{name}.io") == "ok", result.Describe());
        AssertFeatures(result, name, on, off, vectors);
    }

    private static void AssertNet(GuestResult result, string name, int[] on, int[] off, int vectors)
    {
        Assert.True(result.Value($"{name}.ping") == "ok", result.Describe());
        Assert.True(result.Value("host.data") == result.Value($"{name}.received"), $"{name}: {result.Describe()}");
        Assert.True(result.Value("host.data") == result.Value($"{name}.sent"), $"{name}: {result.Describe()}");
        AssertFeatures(result, name, on, off, vectors);
    }

    private static void AssertFeatures(GuestResult result, string name, int[] on, int[] off, int vectors)
    {
        string features = result.Value($"{name}.features") ?? "";
        Assert.True(features.Length == 64, result.Describe());
        Assert.All(on, bit => Assert.True(features[bit] == '1', $"{name} lacks feature {bit}: {features}"));
        Assert.All(off, bit => Assert.True(features[bit] == '0', $"{name} has feature {bit}: {features}"));
        Assert.Equal(vectors.ToString(CultureInfo.InvariantCulture), result.Value($"{name}.vectors"));
    }
}
