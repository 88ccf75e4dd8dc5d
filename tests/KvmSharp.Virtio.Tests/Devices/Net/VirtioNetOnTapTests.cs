using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Net;
using static KvmSharp.Abi.Virtio.VirtioNet;
using static KvmSharp.TestKit.NetworkNamespace;

namespace KvmSharp.Virtio.Tests.Devices.Net;

/// <summary>The device on a real tap, bridged to another one that the test itself holds, in a network namespace of its own. Needs root.</summary>
public sealed class VirtioNetOnTapTests
{
    private const ulong Mac = 0x52_54_00_12_34_56;
    private const ulong PeerMac = 0x52_54_00_65_43_21;
    private const ulong TransmitBuffer = VirtioDeviceBed.Data;
    private const ulong ReceiveBuffers = VirtioDeviceBed.Data + 0x10_0000;
    private const int FrameBytes = 12 + 60;
    private const int InFlight = 16;

    [Theory]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.IndirectDesc, 0)]
    [InlineData(VirtioFeatures.EventIdx, 50_000)]
    [InlineData(VirtioFeatures.EventIdx | VirtioFeatures.RingPacked, 50_000)]
    public void BothWays_ManyPackets_AllArriveAndAllocateNothingOnTheIoThread(ulong features, long pollMaxNs) => Run(() =>
    {
        const int Rounds = 600;
        using Link link = new(features | 1UL << VIRTIO_NET_F_MRG_RXBUF, pollMaxNs);

        Assert.Equal(0, AllocationProbe.OnLoop(link.Bed.Loop, () => Exchange(link, Rounds)));
        Assert.Null(link.Bed.LoopFailure);
    });

    [Fact]
    public void Transmit_WhilePolling_NeedsNoKick() => Run(() =>
    {
        using Link link = new(VirtioFeatures.EventIdx, pollMaxNs: 10_000_000_000);
        int kicks = 0;
        // The first few kicks open the polling window; each packet is awaited, so the next one finds the ring empty.
        for (int i = 0; i < 200; i++)
        {
            link.AddTransmit(0);
            if (link.Bed.Drivers[1].Publish())
            {
                kicks++;
                link.Bed.Kick(1);
            }

            link.Bed.Take(1, out _);
            link.DrainPeer();
        }

        Assert.InRange(kicks, 0, 40);
        Assert.NotEqual(0, link.Bed.Loop.PollHits);
    });

    /// <summary>So many packets out, then as many in, again and again.</summary>
    private static void Exchange(Link link, int rounds)
    {
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < InFlight; i++)
                link.AddTransmit(i);
            link.Bed.Submit(1);
            for (int i = 0; i < InFlight; i++)
                link.Bed.Take(1, out _);
            link.DrainPeer();
            for (int i = 0; i < InFlight; i++)
                link.AddReceive(i);
            link.Bed.Submit(0);
            for (int i = 0; i < InFlight; i++)
                link.SendFromPeer();
            for (int i = 0; i < InFlight; i++)
            {
                link.Bed.Take(0, out uint written);
                Assert.Equal((uint)FrameBytes, written);
            }
        }
    }

    private sealed class Link : IDisposable
    {
        private readonly TapBackend _peerTap;
        private readonly INetQueue _peer;
        private readonly NativeBuffer _buffer = new(8192);

        public Link(ulong features, long pollMaxNs = 0)
        {
            // Or the kernel's own packets come in between.
            File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
            Ip("link add br0 type bridge mcast_snooping 0");
            Ip("link set br0 up");
            TapBackend tap = TapBackend.Open(new TapOptions { Name = "guest", Bridge = "br0" });
            _peerTap = TapBackend.Open(new TapOptions { Name = "peer", Bridge = "br0" });
            _peer = _peerTap.OpenQueue(0);
            Bed = new VirtioDeviceBed(loop => new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(Mac) }, tap, [loop]), features, queueSize: 64, pollMaxNs);
            Bed.Start();
            Bed.WriteMemory(TransmitBuffer, Frame(PeerMac, Mac));
            Frame(Mac, PeerMac).CopyTo(_buffer.Span);
        }

        public VirtioDeviceBed Bed { get; }

        public void AddTransmit(int cookie) =>
            Assert.True(Bed.Drivers[1].TryAdd([new DriverBuffer(TransmitBuffer, FrameBytes, false)], cookie));

        public void AddReceive(int cookie) =>
            Assert.True(Bed.Drivers[0].TryAdd([new DriverBuffer(ReceiveBuffers + 4096UL * (uint)cookie, 2048, true)], cookie));

        public void SendFromPeer() => Assert.Equal(FrameBytes, _peer.Send([_buffer.Slice(0, FrameBytes)]));

        public void DrainPeer()
        {
            while (_peer.Receive([_buffer.Slice(4096, 4096)]) != -LibcConstants.EAGAIN)
            {
            }
        }

        public void Dispose()
        {
            Bed.Dispose();
            _peer.Dispose();
            _peerTap.Dispose();
            _buffer.Dispose();
        }

        private static byte[] Frame(ulong destination, ulong source)
        {
            byte[] frame = new byte[FrameBytes];
            new MacAddress(destination).CopyTo(frame.AsSpan(12));
            new MacAddress(source).CopyTo(frame.AsSpan(18));
            frame[24] = 0x88;
            frame[25] = 0xb5;
            return frame;
        }
    }
}
