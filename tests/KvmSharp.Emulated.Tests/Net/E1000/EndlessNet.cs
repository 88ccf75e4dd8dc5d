using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Memory;

namespace KvmSharp.Emulated.Tests.Net.E1000;

/// <summary>A host that takes every packet and always has one more.</summary>
internal sealed class EndlessNet(NetOffloads offloads) : INetBackend, INetQueue
{
    private static readonly byte[] s_packet = [.. new byte[E1000Bed.HeaderLength], .. E1000Bed.Frame(200, E1000Bed.Mac.Value, 0x0800)];

    private readonly EventFd _poll = new();

    public int QueuePairs => 1;

    public int Mtu => 1500;

    public NetOffloads SupportedOffloads => offloads;

    public bool LinkUp => true;

    public string? Loss => null;

    public FileDescriptor Poll => _poll;

    public INetQueue OpenQueue(int index) => this;

    public bool SetOffloads(NetOffloads value) => true;

    public bool SetActiveQueuePairs(int count) => true;

    public int Receive(ReadOnlySpan<IoVec> to) => IoVecCopy.CopyFrom(to, 0, s_packet);

    public int Send(ReadOnlySpan<IoVec> from) => 0;

    public void Dispose() => _poll.Dispose();
}
