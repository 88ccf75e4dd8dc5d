using System.Globalization;
using KvmSharp.Backends.Net;
using KvmSharp.Core;
using static KvmSharp.TestKit.NetworkNamespace;

namespace KvmSharp.Backends.Tests.Net;

/// <summary>A check says what opening would say, and touches nothing.</summary>
public sealed class CheckedTapTests
{
    [Fact]
    public void Check_NewName_MakesNoInterfaceNotEvenForAMoment() => Run(() =>
    {
        Ip("link add br0 type bridge");
        int before = NextIndex();

        using CheckedTap tap = CheckedTap.Check(new TapOptions { Name = "t0", QueuePairs = 4, Bridge = "br0", Mtu = 4000 });

        Assert.Equal(before + 1, NextIndex());
        Assert.Equal((4, 4000), (tap.QueuePairs, tap.Mtu));
    });

    [Theory]
    [InlineData("vnet_hdr", 1)]
    [InlineData("multi_queue", 1)]
    [InlineData("multi_queue", 4)]
    public void Check_PersistentTap_StaysAsItIs(string flags, int queuePairs) => Run(() =>
    {
        Ip($"tuntap add t0 mode tap {flags}");
        Ip("link set t0 up");
        string before = Ip("-d link show t0");

        CheckedTap.Check(new TapOptions { Name = "t0", QueuePairs = queuePairs, Mtu = 4000 }).Dispose();

        Assert.Equal(before, Ip("-d link show t0"));
    });

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void CheckAndOpen_TapInUse_SayTheSame(int queuePairs) => Run(() =>
    {
        using TapBackend tap = TapBackend.Open(new TapOptions { Name = "t0", QueuePairs = queuePairs });
        AssertBothSay("tap t0 is in use by another process: stop it, or use another name", new TapOptions { Name = "t0", QueuePairs = queuePairs });
    });

    [Fact]
    public void CheckAndOpen_MultiqueueTapFreeAgain_Succeed() => Run(() =>
    {
        Ip("tuntap add t0 mode tap multi_queue");
        var options = new TapOptions { Name = "t0", QueuePairs = 2 };
        TapBackend.Open(options).Dispose();
        CheckedTap.Check(options).Dispose();
        TapBackend.Open(options).Dispose();
    });

    [Fact]
    public void CheckAndOpen_SingleQueueTapWithTwoQueues_SayTheSame() => Run(() =>
    {
        Ip("tuntap add t0 mode tap");
        AssertBothSay(
            "interface t0 is not a multiqueue tap: make it with 'ip tuntap add t0 mode tap vnet_hdr multi_queue', or use queues=1", new TapOptions { Name = "t0", QueuePairs = 2 });
    });

    [Theory]
    [InlineData("lo")]
    [InlineData("br0")]
    [InlineData("tun0")]
    public void CheckAndOpen_NoTap_SayTheSame(string name) => Run(() =>
    {
        Ip("link add br0 type bridge");
        Ip("tuntap add tun0 mode tun");
        AssertBothSay($"interface {name} exists and is not a tap: use another name", new TapOptions { Name = name });
    });

    [Fact]
    public void CheckAndOpen_BridgeAbsent_SayTheSame() => Run(() =>
        AssertBothSay("bridge br7 does not exist: make it with 'ip link add br7 type bridge' and 'ip link set br7 up'", new TapOptions { Name = "t0", Bridge = "br7" }));

    [Fact]
    public void CheckAndOpen_BridgeIsNone_SayTheSame() => Run(() => AssertBothSay("interface lo is not a bridge", new TapOptions { Name = "t0", Bridge = "lo" }));

    [Fact]
    public void CheckAndOpen_NameTooLong_SayTheSame() => Run(() => AssertBothSay(
        "tap name 'sixteen-bytes-xx' is 16 bytes long, the kernel takes at most 15: choose a shorter one", new TapOptions { Name = "sixteen-bytes-xx" }));

    [Fact]
    public void CheckAndOpen_TooManyQueues_SayTheSame() => Run(() => AssertBothSay("a tap has 1 to 256 queue pairs, not 257", new TapOptions { Name = "t0", QueuePairs = 257 }));

    [Fact]
    public void Check_DescriptorOfATap_IsClosedAndTheTapUntouched() => Run(() =>
    {
        using TapBackend maker = TapBackend.Open(new TapOptions { Name = "t0" });
        using INetQueue queue = maker.OpenQueue(0);
        FileDescriptor given = queue.Poll.Duplicate();

        Assert.Equal(1, CheckedTap.Check(new TapOptions { Descriptors = [given] }).QueuePairs);

        Assert.True(given.IsClosed);
    });

    [Fact]
    public void Check_DescriptorIsNoTap_SaysSo() => Run(() =>
    {
        EventFd given = new();
        int number = given.Value;

        BackendException error = Assert.Throws<BackendException>(() => CheckedTap.Check(new TapOptions { Descriptors = [given] }));

        Assert.Equal($"descriptor {number} is not an open tap: pass one on which TUNSETIFF was done", error.Message);
        Assert.True(given.IsClosed);
    });

    private static void AssertBothSay(string message, TapOptions options)
    {
        string before = Ip("-o link show");
        Assert.Equal(message, Assert.Throws<BackendException>(() => CheckedTap.Check(options)).Message);
        Assert.Equal(message, Assert.Throws<BackendException>(() => TapBackend.Open(options)).Message);
        Assert.Equal(before, Ip("-o link show"));
    }

    /// <summary>The index of an interface that is made now: the kernel counts up, so that the next one tells what was made between.</summary>
    private static int NextIndex()
    {
        Ip("link add probe type bridge");
        string line = Ip("-o link show probe");
        Ip("link delete probe");
        return int.Parse(line[..line.IndexOf(':', StringComparison.Ordinal)], CultureInfo.InvariantCulture);
    }
}
