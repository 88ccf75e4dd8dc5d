using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>
/// A receive and a transmit queue on one queue of the host, both on one loop. Queues start and stop on the control thread, which
/// waits for the loop to do it.
/// </summary>
internal sealed class NetPair(NetShared shared, EventLoop loop, int index) : INetPair, IEventSink, IPollSink
{
    private const uint HostCookie = 0, ReceiveCookie = 1, TransmitCookie = 2, StopReceiveCookie = 3, StopTransmitCookie = 4;

    /// <summary>Edge-triggered: every packet and every signal is an event, and each is answered by looking until there is no more.</summary>
    private const uint KickEvents = LibcConstants.EPOLLIN | LibcConstants.EPOLLET;

    private INetQueue? _host;
    private EventToken _hostToken;
    private NetReceiver? _receiver;
    private NetTransmitter? _transmitter;
    private VirtQueue? _transmitQueue;
    private EventToken _receiveToken;
    private EventToken _transmitToken;
    private VirtQueueState _stopped;

    public bool IsRunning => _host is not null;

    /// <summary>Nothing: what it does with packets depends on each queue.</summary>
    public void Activate(VirtioContext context)
    {
    }

    public void StartReceive(VirtQueueBinding binding)
    {
        if (_receiver is not null || !binding.TryOpen(out VirtQueue? queue))
            return;
        Volatile.Write(ref _receiver, new NetReceiver(shared, binding, queue, OpenHost()));
        _receiveToken = loop.Register(binding.Kick, KickEvents, this, ReceiveCookie);
    }

    public void StartTransmit(VirtQueueBinding binding)
    {
        if (_transmitter is not null || !binding.TryOpen(out VirtQueue? queue))
            return;
        _transmitQueue = queue;
        Volatile.Write(ref _transmitter, new NetTransmitter(binding, queue, OpenHost()));
        _transmitToken = loop.Register(binding.Kick, KickEvents, this, TransmitCookie);
    }

    public VirtQueueState? StopReceive()
    {
        if (_receiver is null)
            return null;
        loop.Unregister(_receiveToken);
        loop.Invoke(this, StopReceiveCookie);
        CloseHost();
        return _stopped;
    }

    public VirtQueueState? StopTransmit()
    {
        if (_transmitter is null)
            return null;
        loop.Unregister(_transmitToken);
        loop.Invoke(this, StopTransmitCookie);
        CloseHost();
        return _stopped;
    }

    /// <summary>Nothing: a queue of the host that is not attached has no packets and takes none.</summary>
    public bool SetActive(bool active) => true;

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case HostCookie:
                if ((epollEvents & LibcConstants.EPOLLIN) != 0)
                    Receive();
                if (_transmitter is { IsBlocked: true })
                    Transmit();
                break;
            case ReceiveCookie:
                Receive();
                break;
            case TransmitCookie:
                Transmit();
                break;
            case StopReceiveCookie:
                _stopped = _receiver!.Stop();
                _receiver = null;
                break;
            default:
                _stopped = _transmitQueue!.Save();
                _transmitter = null;
                break;
        }
    }

    void IPollSink.BeginPoll() => _transmitter?.BeginPoll();

    bool IPollSink.Poll()
    {
        if (_transmitter is not { HasWork: true } transmitter)
            return false;
        if (transmitter.SendTurn())
            loop.Post(this, TransmitCookie);
        // What was sent to the host itself is often answered by now.
        Receive();
        return true;
    }

    void IPollSink.EndPoll()
    {
        if (_transmitter is { IsBlocked: false })
            Transmit();
    }

    private void Receive()
    {
        if (Volatile.Read(ref _receiver) is { } receiver && receiver.Serve())
            loop.Post(this, ReceiveCookie);
    }

    private void Transmit()
    {
        if (Volatile.Read(ref _transmitter) is { } transmitter && transmitter.Serve())
            loop.Post(this, TransmitCookie);
    }

    private INetQueue OpenHost()
    {
        if (_host is not null)
            return _host;
        _host = shared.Backend.OpenQueue(index);
        _hostToken = loop.Register(_host.Poll, LibcConstants.EPOLLIN | LibcConstants.EPOLLOUT | LibcConstants.EPOLLET, this, HostCookie);
        loop.AddPollSink(this);
        return _host;
    }

    private void CloseHost()
    {
        if (_receiver is not null || _transmitter is not null || _host is null)
            return;
        loop.RemovePollSink(this);
        loop.Unregister(_hostToken);
        _host.Dispose();
        _host = null;
    }
}
