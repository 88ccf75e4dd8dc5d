using KvmSharp.Backends.Net;
using KvmSharp.Core.Memory;

namespace KvmSharp.TestKit.Net;

/// <summary>A network without a host: tests put packets in and take out what the device sent. Packets carry the 12-byte header.</summary>
public sealed class FakeNetBackend(int queuePairs = 1) : INetBackend
{
    private readonly FakeNetQueue[] _queues = [.. Enumerable.Range(0, queuePairs).Select(_ => new FakeNetQueue())];

    public int QueuePairs => _queues.Length;

    public int Mtu { get; init; } = 1500;

    public NetOffloads SupportedOffloads { get; init; } = NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6 | NetOffloads.Ecn;

    public bool LinkUp { get; set; } = true;

    public string? Loss { get; set; }

    public NetOffloads Offloads { get; private set; }

    public int ActivePairs { get; private set; }

    public FakeNetQueue this[int pair] => _queues[pair];

    public INetQueue OpenQueue(int index) => _queues[index].Open();

    public bool SetOffloads(NetOffloads offloads)
    {
        Offloads = offloads;
        return true;
    }

    public bool SetActiveQueuePairs(int count)
    {
        ActivePairs = count;
        return true;
    }

    public void Dispose()
    {
        foreach (FakeNetQueue queue in _queues)
            queue.Close();
    }
}
