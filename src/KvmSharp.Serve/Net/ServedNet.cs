using KvmSharp.Virtio;

namespace KvmSharp.Serve.Net;

/// <summary>A network interface that is served.</summary>
/// <param name="device">Closed with it.</param>
/// <param name="pairs">Queue pairs.</param>
internal sealed class ServedNet(IVirtioDevice device, int pairs) : IServedDevice
{
    public IVirtioDevice Device => device;

    public int QueueNumber => pairs;

    public string? Summary
    {
        get
        {
            if (device is not NetPort port)
                return null;
            long sent = port.Pairs.Sum(p => p.Sent.Frames), sentLost = port.Pairs.Sum(p => p.Sent.Lost);
            long received = port.Pairs.Sum(p => p.Receiver.Counters.Frames), receivedLost = port.Pairs.Sum(p => p.Receiver.Counters.Lost);
            return $"its driver sent {sent} frames and {sentLost} bad ones, received {received} and had no buffers for {receivedLost}";
        }
    }

    public void Dispose() => device.Dispose();
}
