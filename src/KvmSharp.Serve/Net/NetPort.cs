using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Events;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Serve.Net;

/// <summary>
/// A network interface (virtio 1.2 §5.1) whose queue pairs end in this program: pair i lives on loop i modulo their number. No offloads: a frame is on the
/// wire as it is in memory. The front end serves the control queue, and says which pairs the driver uses by enabling them. Owns what is behind it.
/// </summary>
internal sealed class NetPort : IVirtioDevice
{
    public const int MaxPairs = 64;

    private const ushort QueueSize = 1024;

    private const ulong Features = 1UL << VIRTIO_NET_F_MRG_RXBUF | 1UL << VIRTIO_NET_F_CTRL_VQ | 1UL << VIRTIO_NET_F_CTRL_RX | 1UL << VIRTIO_NET_F_MQ;

    private readonly IPortEnd _end;
    private readonly FrameCapture? _capture;
    private readonly NetPortPair[] _pairs;

    /// <param name="end">What is behind it.</param>
    /// <param name="capture">Where all frames are written to as well; the port's from now on.</param>
    public NetPort(string name, int pairs, IPortEnd end, FrameCapture? capture, IReadOnlyList<EventLoop> loops)
    {
        _end = end;
        _capture = capture;
        _pairs = new NetPortPair[pairs];
        for (int i = 0; i < pairs; i++)
            _pairs[i] = new NetPortPair(loops[i % loops.Count], capture, end, i);
        Identity = new VirtioIdentity
        {
            Name = name,
            DeviceId = VirtioIds.VIRTIO_ID_NET,
            DeviceFeatures = Features,
            QueueSizes = [.. Enumerable.Repeat(QueueSize, 2 * pairs)],
        };
    }

    public VirtioIdentity Identity { get; }

    public IReadOnlyList<NetPortPair> Pairs => _pairs;

    /// <summary>There is no configuration: front ends have one of their own.</summary>
    public void ReadConfig(uint offset, Span<byte> data)
    {
    }

    /// <inheritdoc cref="ReadConfig"/>
    public void WriteConfig(uint offset, ReadOnlySpan<byte> data)
    {
    }

    /// <summary>Nothing: what is done with frames depends on each queue.</summary>
    public void Activate(VirtioContext context)
    {
    }

    public void StartQueue(int index, VirtQueueBinding binding)
    {
        if (index % 2 == 0)
            _pairs[index / 2].StartReceive(binding);
        else
            _pairs[index / 2].StartTransmit(binding);
    }

    public VirtQueueState? StopQueue(int index) => index % 2 == 0 ? _pairs[index / 2].StopReceive() : _pairs[index / 2].StopTransmit();

    /// <summary>Nothing is kept but in the queues.</summary>
    public void Reset()
    {
    }

    public void Dispose()
    {
        for (int i = 0; i < Identity.QueueSizes.Count; i++)
            StopQueue(i);
        _end.Dispose();
        _capture?.Dispose();
    }
}
