using KvmSharp.Backends.Net;

namespace KvmSharp.Serve.Net;

/// <summary>
/// The host's end of a network interface, whose frames are captured both ways, as they are there: segments that are not cut yet, check sums that are
/// left to the other side. Owns both.
/// </summary>
internal sealed class CapturedBackend(INetBackend backend, FrameCapture capture) : INetBackend
{
    public int QueuePairs => backend.QueuePairs;

    public int Mtu => backend.Mtu;

    public NetOffloads SupportedOffloads => backend.SupportedOffloads;

    public bool LinkUp => backend.LinkUp;

    public string? Loss => backend.Loss;

    public INetQueue OpenQueue(int index) => new CapturedQueue(backend.OpenQueue(index), capture);

    public bool SetOffloads(NetOffloads offloads) => backend.SetOffloads(offloads);

    public bool SetActiveQueuePairs(int count) => backend.SetActiveQueuePairs(count);

    public void Dispose()
    {
        backend.Dispose();
        capture.Dispose();
    }
}
