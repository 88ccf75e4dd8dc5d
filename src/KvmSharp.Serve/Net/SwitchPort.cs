namespace KvmSharp.Serve.Net;

/// <summary>A port's place on a switch.</summary>
internal sealed class SwitchPort(L2Switch owner, ushort number) : IPortEnd
{
    private IReadOnlyList<NetPortPair> _pairs = [];

    public L2Switch Switch => owner;

    public ushort Number => number;

    /// <summary>Whose frames are switched; once, before the port's queues start.</summary>
    public void Bind(IReadOnlyList<NetPortPair> pairs) => Volatile.Write(ref _pairs, pairs);

    public IFrameSink? OpenSink(int pair) => new SwitchSender(this, pair);

    /// <summary>
    /// The queue for frames of a sender's pair, always the same for the same so that they stay in order; null: the driver has none.
    /// </summary>
    public ReceiveRing? RingFor(int senderPair)
    {
        IReadOnlyList<NetPortPair> pairs = Volatile.Read(ref _pairs);
        if (pairs.Count == 0)
            return null;
        ReceiveRing ring = pairs[senderPair % pairs.Count].Receiver;
        return ring.IsRunning ? ring : pairs[0].Receiver;
    }

    public void Dispose() => owner.Leave(this);
}
