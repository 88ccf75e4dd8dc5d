using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Core.Events;
using static KvmSharp.Emulated.Net.E1000.E1000Registers;

namespace KvmSharp.Emulated.Net.E1000;

/// <summary>
/// Both rings on one queue of the host, on one loop. They are started and stopped under the device's lock by whoever changes the
/// registers, who waits for the loop to do it; tails are only told.
/// </summary>
internal sealed class DataPath(INetBackend backend, EventLoop loop, RegisterFile registers, Transmitter transmitter, Receiver receiver)
    : IEventSink, IPollSink, IDisposable
{
    private const uint HostCookie = 0, ReceiveCookie = 1, TransmitCookie = 2, RestartReceiveCookie = 3, RestartTransmitCookie = 4;

    private INetQueue? _host;
    private EventToken _hostToken;

    /// <summary>The function may read and write guest memory (PCI command register). Set under the device's lock; restart both rings then.</summary>
    public bool IsBusMaster { get; set; }

    /// <summary>Takes the receive ring as the registers have it now, or stops it; the ring is not touched any more as it was. Under the device's lock.</summary>
    public void RestartReceive() => Restart(RestartReceiveCookie, IsReceiving);

    /// <inheritdoc cref="RestartReceive"/>
    public void RestartTransmit() => Restart(RestartTransmitCookie, IsTransmitting);

    public void ReceiveTailMoved()
    {
        if (receiver.TailMoved())
            loop.Post(this, ReceiveCookie);
    }

    public void TransmitTailMoved()
    {
        if (transmitter.TailMoved())
            loop.Post(this, TransmitCookie);
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case HostCookie:
                if ((epollEvents & LibcConstants.EPOLLIN) != 0)
                    Receive();
                if (transmitter.IsBlocked)
                    Transmit();
                break;
            case ReceiveCookie:
                Receive();
                break;
            case TransmitCookie:
                Transmit();
                break;
            case RestartReceiveCookie:
                receiver.Restart(IsReceiving ? _host : null);
                Receive();
                break;
            default:
                transmitter.Restart(IsTransmitting ? _host : null);
                Transmit();
                break;
        }
    }

    void IPollSink.BeginPoll() => transmitter.BeginPoll();

    bool IPollSink.Poll()
    {
        if (!transmitter.HasWork)
            return false;
        if (transmitter.SendTurn())
            loop.Post(this, TransmitCookie);
        // What was sent to the host itself is often answered by now.
        Receive();
        return true;
    }

    void IPollSink.EndPoll() => Transmit();

    /// <summary>Stops both rings and gives the host's queue back. No vCPU may run any more.</summary>
    public void Dispose()
    {
        IsBusMaster = false;
        RestartReceive();
        RestartTransmit();
        if (_host is null)
            return;
        loop.RemovePollSink(this);
        loop.Unregister(_hostToken);
        _host.Dispose();
    }

    private bool IsReceiving => IsBusMaster && (registers[RCTL] & RCTL_EN) != 0;

    private bool IsTransmitting => IsBusMaster && (registers[TCTL] & TCTL_EN) != 0;

    private void Restart(uint cookie, bool starts)
    {
        if (starts && _host is null)
        {
            // Not before a guest wants it: a machine that is only checked has no host end to open.
            _host = backend.OpenQueue(0);
            _hostToken = loop.Register(_host.Poll, LibcConstants.EPOLLIN | LibcConstants.EPOLLOUT | LibcConstants.EPOLLET, this, HostCookie);
            loop.AddPollSink(this);
        }

        if (_host is not null)
            loop.Invoke(this, cookie);
    }

    private void Receive()
    {
        if (receiver.Serve())
            loop.Post(this, ReceiveCookie);
    }

    private void Transmit()
    {
        if (transmitter.Serve())
            loop.Post(this, TransmitCookie);
    }
}
