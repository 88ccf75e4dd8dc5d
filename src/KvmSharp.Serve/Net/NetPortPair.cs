using KvmSharp.Abi;
using KvmSharp.Core.Events;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Net;

/// <summary>
/// A receive and a transmit queue of a port. What the driver sends is taken, and what a source makes is given, on one loop; frames from other ports come in
/// on theirs. Queues start and stop on the control thread, which waits for the loop to do it.
/// </summary>
internal sealed class NetPortPair : IEventSink, IPollSink
{
    private const uint ReceiveCookie = 0, TransmitCookie = 1, StopTransmitCookie = 2;

    /// <summary>Edge-triggered: every signal is an event, and each is answered by looking until there is no more.</summary>
    private const uint KickEvents = LibcConstants.EPOLLIN | LibcConstants.EPOLLET;

    private readonly EventLoop _loop;
    private readonly FrameCapture? _capture;
    private readonly IFrameSink? _sink;
    private readonly IFrameSource? _source;
    private TransmitPump? _transmitter;
    private EventToken _receiveToken;
    private EventToken _transmitToken;
    private VirtQueueState _stopped;
    private bool _polled;

    public NetPortPair(EventLoop loop, FrameCapture? capture, IPortEnd end, int index)
    {
        _loop = loop;
        _capture = capture;
        Receiver = new ReceiveRing(capture);
        _sink = end.OpenSink(index);
        _source = end.OpenSource(index);
    }

    public ReceiveRing Receiver { get; }

    /// <summary>What the driver has sent.</summary>
    public PortCounters Sent { get; } = new();

    public void StartReceive(VirtQueueBinding binding)
    {
        if (Receiver.IsRunning || !binding.TryOpen(out VirtQueue? queue))
            return;
        Receiver.Attach(binding, queue);
        if (_source is null)
            return;
        _receiveToken = _loop.Register(binding.Kick, KickEvents, this, ReceiveCookie);
        _loop.Post(this, ReceiveCookie);
        UpdatePolling();
    }

    public void StartTransmit(VirtQueueBinding binding)
    {
        if (_transmitter is not null || !binding.TryOpen(out VirtQueue? queue))
            return;
        Volatile.Write(ref _transmitter, new TransmitPump(binding, queue, _sink, _capture, Sent));
        _transmitToken = _loop.Register(binding.Kick, KickEvents, this, TransmitCookie);
        // A front end need not kick for what was there before.
        _loop.Post(this, TransmitCookie);
        UpdatePolling();
    }

    public VirtQueueState? StopReceive()
    {
        if (!Receiver.IsRunning)
            return null;
        if (_source is not null)
            _loop.Unregister(_receiveToken);
        VirtQueueState state = Receiver.Detach();
        UpdatePolling();
        return state;
    }

    public VirtQueueState? StopTransmit()
    {
        if (_transmitter is null)
            return null;
        _loop.Unregister(_transmitToken);
        _loop.Invoke(this, StopTransmitCookie);
        UpdatePolling();
        return _stopped;
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case ReceiveCookie:
                Generate();
                break;
            case TransmitCookie:
                Transmit();
                break;
            default:
                _stopped = _transmitter!.Stop();
                _transmitter = null;
                break;
        }
    }

    void IPollSink.BeginPoll() => _transmitter?.BeginPoll();

    bool IPollSink.Poll()
    {
        bool found = _transmitter is { } transmitter && transmitter.TakeTurn() > 0;
        if (_source is not null && Receiver.TryBegin())
        {
            long before = Receiver.Counters.Frames;
            _ = _source.Fill(Receiver);
            found |= Receiver.Counters.Frames != before;
            Receiver.End();
        }

        return found;
    }

    void IPollSink.EndPoll()
    {
        Transmit();
        Generate();
    }

    private void Transmit()
    {
        if (Volatile.Read(ref _transmitter) is { } transmitter && transmitter.Serve())
            _loop.Post(this, TransmitCookie);
    }

    private void Generate()
    {
        if (_source is null || !Receiver.TryBegin())
            return;
        long before = Receiver.Counters.Frames;
        bool more = _source.Fill(Receiver);
        // Buffers that a frame does not fit into are none, or it would be tried for ever.
        bool progress = Receiver.Counters.Frames != before;
        if (more)
            Receiver.End();
        else
            more = !Receiver.EndAndWait() && progress;
        if (more)
            _loop.Post(this, ReceiveCookie);
    }

    private void UpdatePolling()
    {
        bool poll = _transmitter is not null || (_source is not null && Receiver.IsRunning);
        if (poll == _polled)
            return;
        _polled = poll;
        if (poll)
            _loop.AddPollSink(this);
        else
            _loop.RemovePollSink(this);
    }
}
