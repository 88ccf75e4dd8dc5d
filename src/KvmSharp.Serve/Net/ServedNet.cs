using KvmSharp.Virtio;

namespace KvmSharp.Serve.Net;

/// <summary>A network interface that is served.</summary>
/// <param name="device">Closed with it.</param>
/// <param name="pairs">Queue pairs.</param>
internal sealed class ServedNet(IVirtioDevice device, int pairs) : IServedDevice
{
    public IVirtioDevice Device => device;

    public int QueueNumber => pairs;

    public bool KeepsOrder => true;

    public PortStatistics? Statistics => device is NetPort port
        ? new PortStatistics(Sum(port.Pairs.Select(p => p.Sent)), Sum(port.Pairs.Select(p => p.Receiver.Counters)))
        : null;

    public void Dispose() => device.Dispose();

    private static TrafficCount Sum(IEnumerable<PortCounters> queues) => queues.Aggregate(default(TrafficCount),
        (sum, queue) => new TrafficCount(sum.Frames + queue.Frames, sum.Bytes + queue.Bytes, sum.Lost + queue.Lost));
}
