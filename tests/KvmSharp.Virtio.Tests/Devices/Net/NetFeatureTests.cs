using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.TestKit.Net;
using KvmSharp.Virtio.Devices.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>What is offered when something is withheld: nothing that depends on it (virtio 1.2 §5.1.3.1).</summary>
public sealed class NetFeatureTests
{
    private const NetOffloads All = NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6 | NetOffloads.Ecn | NetOffloads.Uso4 | NetOffloads.Uso6;

    private static readonly ulong s_everything = Offered(0);

    [Fact]
    public void Offered_NothingWithheld_IsAll()
    {
        ulong expected = 1UL << VIRTIO_NET_F_MRG_RXBUF | 1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_HOST_TSO4 |
            1UL << VIRTIO_NET_F_GUEST_TSO6 | 1UL << VIRTIO_NET_F_HOST_USO | 1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_MQ;

        Assert.Equal(expected, s_everything & expected);
    }

    [Fact]
    public void Offered_WithoutMergeableBuffers_LacksOnlyThem() => AssertLacks(1UL << VIRTIO_NET_F_MRG_RXBUF, 1UL << VIRTIO_NET_F_MRG_RXBUF);

    [Fact]
    public void Offered_WithoutChecksum_LacksSegmentationToTheHost() => AssertLacks(
        1UL << VIRTIO_NET_F_CSUM,
        1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_HOST_TSO4 | 1UL << VIRTIO_NET_F_HOST_TSO6 | 1UL << VIRTIO_NET_F_HOST_ECN | 1UL << VIRTIO_NET_F_HOST_USO);

    [Fact]
    public void Offered_WithoutGuestChecksum_LacksSegmentationToTheGuest() => AssertLacks(
        1UL << VIRTIO_NET_F_GUEST_CSUM,
        1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_GUEST_TSO6 | 1UL << VIRTIO_NET_F_GUEST_ECN |
        1UL << VIRTIO_NET_F_GUEST_USO4 | 1UL << VIRTIO_NET_F_GUEST_USO6 | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);

    [Fact]
    public void Offered_OneKindOfTso_KeepsEcn() => AssertLacks(1UL << VIRTIO_NET_F_HOST_TSO4, 1UL << VIRTIO_NET_F_HOST_TSO4);

    [Fact]
    public void Offered_NoTsoToTheHost_LacksEcn()
    {
        const ulong Tso = 1UL << VIRTIO_NET_F_HOST_TSO4 | 1UL << VIRTIO_NET_F_HOST_TSO6;
        AssertLacks(Tso, Tso | 1UL << VIRTIO_NET_F_HOST_ECN);
    }

    [Fact]
    public void Offered_WithoutControlQueue_LacksAllThatNeedsIt()
    {
        AssertLacks(
            1UL << VIRTIO_NET_F_CTRL_VQ,
            1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_CTRL_RX | 1UL << VIRTIO_NET_F_CTRL_RX_EXTRA | 1UL << VIRTIO_NET_F_CTRL_VLAN |
            1UL << VIRTIO_NET_F_CTRL_MAC_ADDR | 1UL << VIRTIO_NET_F_GUEST_ANNOUNCE | 1UL << VIRTIO_NET_F_MQ | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
        using VirtioNetDevice device = Create(new FakeNetBackend(), 1UL << VIRTIO_NET_F_CTRL_VQ, out EventLoop loop);
        Assert.Equal(2, device.Identity.QueueSizes.Count);
        loop.Dispose();
    }

    private static void AssertLacks(ulong withheld, ulong missing) => Assert.Equal(s_everything & ~missing, Offered(withheld));

    private static ulong Offered(ulong withheld)
    {
        using VirtioNetDevice device = Create(new FakeNetBackend(2) { SupportedOffloads = All }, withheld, out EventLoop loop);
        loop.Dispose();
        return device.Identity.DeviceFeatures;
    }

    private static VirtioNetDevice Create(FakeNetBackend host, ulong withheld, out EventLoop loop)
    {
        loop = new EventLoop(new EventLoopOptions { Name = "net" });
        return new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(0x52_54_00_12_34_56), WithheldFeatures = withheld, LinkCheckNs = 0 }, host, [loop]);
    }
}
