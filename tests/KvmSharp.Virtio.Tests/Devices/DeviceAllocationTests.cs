using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;
using KvmSharp.TestKit;
using KvmSharp.TestKit.Block;
using KvmSharp.TestKit.Virtio;
using KvmSharp.Virtio.Devices.Block;
using KvmSharp.Virtio.Devices.Net;
using KvmSharp.Virtio.Queues;
using static KvmSharp.TestKit.Virtio.VirtioDeviceBed;

namespace KvmSharp.Virtio.Tests.Devices;

/// <summary>A million requests through whole devices, all of whose work is done on one loop: that thread must allocate nothing.</summary>
public sealed class DeviceAllocationTests
{
    private const int Requests = 1_000_000, Batch = 50;
    private const ushort QueueSize = 256;
    private const int ReceiveQueue = 0, TransmitQueue = 1;
    private const uint HeaderLength = 12, FrameLength = 60;

    public static TheoryData<ulong> Rings { get; } = new()
    {
        VirtioFeatures.EventIdx,
        VirtioFeatures.EventIdx | VirtioFeatures.RingPacked,
    };

    [Theory]
    [MemberData(nameof(Rings))]
    public void Block_MillionRequests_AllocateNothing(ulong features)
    {
        using VirtioDeviceBed bed = new(loop => new VirtioBlock(new VirtioBlockOptions(), new MemoryBlockBackend(1 << 20), [loop]), features, QueueSize);
        bed.WriteMemory(Data + 16, [1]); // the second header's type: a write
        DriverBuffer[] read = [new(Data, 16, false), new(Data + 0x1000, 512, true), new(Data + 0x2000, 1, true)];
        DriverBuffer[] write = [new(Data + 16, 16, false), new(Data + 0x3000, 512, false), new(Data + 0x2000, 1, true)];

        Assert.Equal(0, Measure(bed, 0, read, write));
        Assert.Equal(0, bed.ReadMemory(Data + 0x2000, 1)[0]);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void NetTransmit_MillionPackets_AllocateNothing(ulong features)
    {
        EndlessNet net = new();
        using VirtioDeviceBed bed = CreateNet(net, features);
        DriverBuffer[] whole = [new(Data, HeaderLength + FrameLength, false)];
        DriverBuffer[] split = [new(Data, HeaderLength, false), new(Data + HeaderLength, FrameLength, false)];

        Assert.Equal(0, Measure(bed, TransmitQueue, whole, split));
        Assert.Equal(0, net.Sent % Requests);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void NetReceive_MillionPackets_AllocateNothing(ulong features)
    {
        using VirtioDeviceBed bed = CreateNet(new EndlessNet(), features);
        DriverBuffer[] whole = [new(Data, 2048, true)];
        DriverBuffer[] split = [new(Data + 0x1000, HeaderLength, true), new(Data + 0x2000, 2048, true)];

        Assert.Equal(0, Measure(bed, ReceiveQueue, whole, split));
        Assert.Equal(0xFF, bed.ReadMemory(Data + HeaderLength, 1)[0]);
    }

    private static VirtioDeviceBed CreateNet(EndlessNet net, ulong features) =>
        new(loop => new VirtioNetDevice(new VirtioNetOptions { Mac = new MacAddress(0x5254_0012_3456) }, net, [loop]), features, QueueSize);

    /// <returns>Bytes that the loop has allocated for the requests.</returns>
    private static long Measure(VirtioDeviceBed bed, int queue, DriverBuffer[] even, DriverBuffer[] odd)
    {
        bed.Start();
        bed.Interrupt.SignalQueue(queue); // its first signal allocates
        long bytes = AllocationProbe.OnLoop(bed.Loop, () => Run(bed, queue, even, odd, Requests));
        Assert.Null(bed.LoopFailure);
        return bytes;
    }

    private static void Run(VirtioDeviceBed bed, int queue, DriverBuffer[] even, DriverBuffer[] odd, int count)
    {
        DriverQueue driver = bed.Drivers[queue];
        driver.DisableInterrupts();
        for (int added = 0; added < count; added += Batch)
        {
            for (int i = 0; i < Batch; i++)
                Assert.True(driver.TryAdd(i % 2 == 0 ? even : odd, i));
            bed.Submit(queue);
            for (int used = 0; used < Batch;)
            {
                if (driver.TryTakeUsed(out _, out _))
                    used++;
                else
                    Thread.Yield();
            }
        }
    }

    /// <summary>Takes every packet, and always has one more.</summary>
    private sealed class EndlessNet : INetBackend, INetQueue
    {
        private static readonly byte[] s_packet = [.. new byte[HeaderLength], .. Enumerable.Repeat((byte)0xFF, (int)FrameLength)];

        private readonly EventFd _poll = new();

        public int QueuePairs => 1;

        public int Mtu => 1500;

        public NetOffloads SupportedOffloads => NetOffloads.None;

        public bool LinkUp => true;

        public string? Loss => null;

        public FileDescriptor Poll => _poll;

        public int Sent { get; private set; }

        public INetQueue OpenQueue(int index) => this;

        public bool SetOffloads(NetOffloads offloads) => true;

        public bool SetActiveQueuePairs(int count) => true;

        public int Receive(ReadOnlySpan<IoVec> to) => IoVecCopy.CopyFrom(to, 0, s_packet);

        public int Send(ReadOnlySpan<IoVec> from)
        {
            Sent++;
            return (int)(HeaderLength + FrameLength);
        }

        /// <summary>The device disposes both the queue and the back end.</summary>
        public void Dispose() => _poll.Dispose();
    }
}
