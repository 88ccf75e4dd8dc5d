using KvmSharp.Backends;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost.User;
using KvmSharp.TestKit.Vhost;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;
using static KvmSharp.TestKit.Vhost.FakeVhostUserBackend;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>A network interface whose packets another process carries: what that is told, and what the guest sees of its end.</summary>
public sealed class VhostUserNetDeviceTests : IDisposable
{
    private const ulong Address = 0x52_54_00_12_34_56;
    private const ulong Multiqueue = 1UL << VIRTIO_NET_F_MQ | 1UL << VIRTIO_NET_F_CTRL_VQ;
    private const ulong Protocol = MultiQueue | ReplyAck | Rarp;
    private const ulong StatusOffset = 6;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvmsharp-vhost-user-");
    private FakeVhostUserBackend? _peer;
    private VhostUserNet? _end;
    private VirtioDeviceBed? _bed;

    private string Path => System.IO.Path.Combine(_folder.FullName, "s");

    public void Dispose()
    {
        _bed?.Dispose();
        _end?.Dispose();
        _peer?.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Identity_Offers_WhatBothHave()
    {
        const ulong Offloads = 1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_HOST_TSO4;
        VirtioDeviceBed bed = Create(Offloads | VirtioFeatures.EventIdx, 0, 1);

        VirtioIdentity identity = bed.Device.Identity;
        Assert.Equal(Offloads, identity.DeviceFeatures & (NetOffloadBitsAll | 1UL << VIRTIO_NET_F_MRG_RXBUF | 1UL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
        Assert.Equal(VirtioFeatures.EventIdx, identity.RingFeatures & VirtioFeatures.Ring);
    }

    [Fact]
    public void Activate_TellsWhatPacketsLookLike_AndKeepsTheRest()
    {
        const ulong Packets = 1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_MRG_RXBUF;

        Create(ulong.MaxValue, Packets | Multiqueue | 1UL << VIRTIO_NET_F_MAC | 1UL << VIRTIO_NET_F_CTRL_RX, 2).Start();

        Assert.Equal(Packets | VirtioFeatures.Version1 | ProtocolFeatures, BitConverter.ToUInt64(_peer!.WaitFor(SetFeatures)));
        Assert.Single(_peer.Heard, h => h.Request == SetFeatures);
        Assert.Single(_peer.Heard, h => h.Request == SetMemTable);
    }

    [Fact]
    public void SetPairs_EnablesThoseThatTakePart()
    {
        VirtioDeviceBed bed = Create(ulong.MaxValue, Multiqueue, 2);
        bed.Start();
        Assert.Equal([(0u, 1u), (1, 1), (2, 0), (3, 0)], Enabled());

        Assert.Equal(VIRTIO_NET_OK, bed.SetPairs(2));
        Assert.Equal([(2u, 1u), (3, 1)], Enabled());

        Assert.Equal(VIRTIO_NET_OK, bed.SetPairs(1));
        Assert.Equal([(2u, 0u), (3, 0)], Enabled());

        Assert.Equal(VIRTIO_NET_ERR, bed.SetPairs(3));
        Assert.Empty(Enabled());
    }

    [Theory]
    [InlineData(1UL << VIRTIO_NET_F_GUEST_ANNOUNCE | 1UL << VIRTIO_NET_F_CTRL_VQ, true)]
    [InlineData(0UL, false)]
    public void BackEndDiesAndReturns_LinkGoesAndComesAndTheNetworkLearnsWhere(ulong features, bool guestAnnounces)
    {
        VirtioDeviceBed bed = Create(ulong.MaxValue, features | 1UL << VIRTIO_NET_F_STATUS, 1);
        bed.Start();
        Assert.Equal(VIRTIO_NET_S_LINK_UP, Status(bed));

        _peer!.Dispose();
        Assert.True(SpinWait.SpinUntil(() => Status(bed) == 0 && bed.Interrupt.ConfigSignals == 1, 10000));

        _peer = new FakeVhostUserBackend(Path, ulong.MaxValue, Protocol);
        Assert.True(SpinWait.SpinUntil(() => (Status(bed) & VIRTIO_NET_S_LINK_UP) != 0 && bed.Interrupt.ConfigSignals >= 2, 10000));
        Assert.Equal(2, _peer.Heard.Count(h => h.Request == SetVringEnable));
        if (guestAnnounces)
            Assert.True(SpinWait.SpinUntil(() => (Status(bed) & VIRTIO_NET_S_ANNOUNCE) != 0, 10000));
        else
            Assert.Equal([0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0], _peer.WaitFor(SendRarp));
        Assert.Empty(bed.Interrupt.Faults);
    }

    [Fact]
    public void BackEndDies_QueuesStopAndStartWithoutIt_NextOneIsTold()
    {
        VirtioDeviceBed bed = Create(ulong.MaxValue, 0, 1);
        bed.Start();
        _peer!.Dispose();
        Assert.True(SpinWait.SpinUntil(() => _end!.Backend.Connection is null, 10000));

        VirtQueueState? state = bed.Device.StopQueue(1);
        Assert.NotNull(state);
        bed.StartQueue(1, state.Value);
        _peer = new FakeVhostUserBackend(Path, ulong.MaxValue, Protocol);

        Assert.True(SpinWait.SpinUntil(() => _peer.Heard.Count(h => h.Request == SetVringEnable) == 2, 10000));
        Assert.Empty(bed.Interrupt.Faults);
    }

    /// <summary>Its back end notes nothing: where the rings stand is lost with it, which no front end can find out.</summary>
    [Fact]
    public void BackEndDies_PackedRings_AsksForAResetAndThenStartsAnew()
    {
        const uint InitialPosition = 0x8000_8000; // both wrap counters
        VirtioDeviceBed bed = Create(ulong.MaxValue, VirtioFeatures.RingPacked, 1);
        bed.Start();

        _peer!.Dispose();
        Assert.True(bed.Interrupt.WaitForFault());
        _peer = new FakeVhostUserBackend(Path, ulong.MaxValue, Protocol);
        Assert.True(SpinWait.SpinUntil(() => _end!.Backend.Connection is not null, 20000));
        Assert.DoesNotContain(_peer.Heard, h => h.Request == SetVringEnable);
        for (int i = 0; i < bed.Drivers.Length; i++)
            bed.Device.StopQueue(i);
        bed.Device.Reset();
        bed.Start();

        Assert.Equal([(0u, InitialPosition), (1, InitialPosition)], _peer.Heard.Where(h => h.Request == SetVringBase).Select(h => (h.First, h.Second)));
        Assert.Equal([(0u, 1u), (1, 1)], Enabled());
    }

    [Fact]
    public void Open_MoreQueuesThanItServes_SaysSo()
    {
        _peer = new FakeVhostUserBackend(Path, 0, Protocol);
        VhostUserBackend backend = VhostUserBackend.Connect(Path, VhostUserOptions.Net(256, null));

        BackendException error = Assert.Throws<BackendException>(() => new VhostUserNet(backend, 3, null));

        Assert.Equal("its vhost-user back end serves 2 queues, not 3: start it with more, or say queues=2", error.Message);
    }

    /// <summary>A back end that starts to lie while packets flow costs the link, not the device.</summary>
    [Fact]
    public void SetPairs_BackEndAnswersGarbage_LinkGoesAndComesBack()
    {
        VirtioDeviceBed bed = Create(ulong.MaxValue, Multiqueue | 1UL << VIRTIO_NET_F_STATUS, 2);
        bed.Start();
        _peer!.Rudeness = request => request == SetVringEnable ? [.. Enumerable.Repeat((byte)0xA5, 64)] : null;

        Assert.Equal(VIRTIO_NET_OK, bed.SetPairs(2));
        Assert.True(SpinWait.SpinUntil(() => bed.Interrupt.ConfigSignals > 0, 10000));
        _peer.Forget();
        _peer.Rudeness = null;

        Assert.True(SpinWait.SpinUntil(() => _peer.Heard.Count(h => h is { Request: SetVringEnable, Second: 1 }) >= 4, 20000));
        Assert.True(SpinWait.SpinUntil(() => (Status(bed) & VIRTIO_NET_S_LINK_UP) != 0, 10000));
        Assert.Empty(bed.Interrupt.Faults);
    }

    private static ulong NetOffloadBitsAll =>
        1UL << VIRTIO_NET_F_CSUM | 1UL << VIRTIO_NET_F_GUEST_CSUM | 1UL << VIRTIO_NET_F_GUEST_TSO4 | 1UL << VIRTIO_NET_F_GUEST_TSO6 | 1UL << VIRTIO_NET_F_GUEST_ECN |
        1UL << VIRTIO_NET_F_HOST_TSO4 | 1UL << VIRTIO_NET_F_HOST_TSO6 | 1UL << VIRTIO_NET_F_HOST_ECN | 1UL << VIRTIO_NET_F_HOST_USO | 1UL << VIRTIO_NET_F_GUEST_USO4 |
        1UL << VIRTIO_NET_F_GUEST_USO6;

    private static int Status(VirtioDeviceBed bed)
    {
        byte[] status = new byte[2];
        bed.Device.ReadConfig((uint)StatusOffset, status);
        return status[0];
    }

    /// <summary>What it was told since the last look.</summary>
    private (uint Vring, uint On)[] Enabled()
    {
        (uint, uint)[] said = [.. _peer!.Heard.Where(h => h.Request == SetVringEnable).Select(h => (h.First, h.Second))];
        _peer.Forget();
        return said;
    }

    private VirtioDeviceBed Create(ulong offered, ulong negotiated, int pairs)
    {
        _peer = new FakeVhostUserBackend(Path, offered, Protocol);
        _end = new VhostUserNet(VhostUserBackend.Connect(Path, VhostUserOptions.Net(256, null)), pairs, null);
        VirtioNetOptions options = new() { Mac = new MacAddress(Address), LinkCheckNs = 0 };
        return _bed = new VirtioDeviceBed(loop => new VhostUserNetDevice(options, _end.Backend, _end, loop), negotiated);
    }
}
