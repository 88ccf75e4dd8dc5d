using KvmSharp.Backends.Net;

namespace KvmSharp.Machine;

/// <summary>A network interface's back end for the lifetime of one board: disposing it leaves the back end open for the next.</summary>
internal sealed class BorrowedNetBackend(INetBackend backend) : INetBackend
{
    public int QueuePairs => backend.QueuePairs;

    public int Mtu => backend.Mtu;

    public NetOffloads SupportedOffloads => backend.SupportedOffloads;

    public bool LinkUp => backend.LinkUp;

    public string? Loss => backend.Loss;

    public INetQueue OpenQueue(int index) => backend.OpenQueue(index);

    public bool SetOffloads(NetOffloads offloads) => backend.SetOffloads(offloads);

    public bool SetActiveQueuePairs(int count) => backend.SetActiveQueuePairs(count);

    public void Dispose()
    {
    }
}
