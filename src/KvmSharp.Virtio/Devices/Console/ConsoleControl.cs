using System.Runtime.InteropServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioConsole;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// The control queues of a device with many ports (virtio 1.2 §5.3.6.2). Messages that make no sense (too short, of no port, unknown) are taken
/// and ignored.
/// </summary>
internal sealed class ConsoleControl : IEventSink
{
    private const uint ToDriverCookie = 0, FromDriverCookie = 1;
    private const int Budget = 32;

    private readonly EventLoop _loop;
    private readonly ConsolePort?[] _ports;
    private readonly ConsoleQueue _toDriver;
    private readonly ConsoleQueue _fromDriver;

    /// <param name="ports">By number.</param>
    public ConsoleControl(EventLoop loop, ConsolePort?[] ports)
    {
        _loop = loop;
        _ports = ports;
        _toDriver = new ConsoleQueue(loop, this, ToDriverCookie);
        _fromDriver = new ConsoleQueue(loop, this, FromDriverCookie);
    }

    /// <summary>Control thread, as the other three.</summary>
    public void StartToDriver(VirtQueueBinding binding) => _toDriver.Start(binding);

    public void StartFromDriver(VirtQueueBinding binding) => _fromDriver.Start(binding);

    public VirtQueueState? StopToDriver() => _toDriver.Stop();

    public VirtQueueState? StopFromDriver() => _fromDriver.Stop();

    public void OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == FromDriverCookie)
            Listen();
        else if (!Tell() && _toDriver.Queue is not null)
            _toDriver.Check();
    }

    /// <summary>Tells the driver what there is to tell, as far as it has buffers. False if there was nothing. Loop thread.</summary>
    public bool Tell()
    {
        VirtQueue? queue = _toDriver.Queue;
        if (queue is null)
            return false;
        Span<byte> message = stackalloc byte[PortAnnouncer.MaxMessageBytes];
        bool told = false;
        foreach (ConsolePort? port in _ports)
        {
            while (port is not null && port.Announcer.Peek() is var news and not PortNews.None)
            {
                told = true;
                if (queue.TryPop(out DescriptorChain chain))
                {
                    int length = port.Announcer.Take(news, message);
                    queue.Push(chain.Token, (uint)IoVecCopy.CopyFrom(chain.Writable, 0, message[..length]));
                    continue;
                }

                _toDriver.Publish();
                if (_toDriver.TrySleep())
                    return true;
            }
        }

        if (told)
            _toDriver.Publish();
        return told;
    }

    private void Listen()
    {
        VirtQueue? queue = _fromDriver.Queue;
        if (queue is null)
            return;
        Span<byte> message = stackalloc byte[8];
        int budget = Budget;
        do
        {
            queue.DisableNotifications();
            while (budget > 0 && queue.TryPop(out DescriptorChain chain))
            {
                budget--;
                if (IoVecCopy.CopyTo(chain.Readable, 0, message) == message.Length)
                    Handle(MemoryMarshal.Read<virtio_console_control>(message));
                queue.Push(chain.Token, 0);
            }

            _fromDriver.Publish();
            if (budget == 0)
            {
                _loop.Post(this, FromDriverCookie);
                break;
            }
        }
        while (!_fromDriver.TrySleep());
        Tell();
    }

    private void Handle(in virtio_console_control message)
    {
        ConsolePort? port = message.id < (uint)_ports.Length ? _ports[message.id] : null;
        switch (message.@event)
        {
            case VIRTIO_CONSOLE_DEVICE_READY when message.value == 1:
                foreach (ConsolePort? each in _ports)
                    each?.Announcer.OnDeviceReady();
                break;
            case VIRTIO_CONSOLE_PORT_READY:
                port?.Announcer.OnPortReady(message.value == 1);
                break;
            case VIRTIO_CONSOLE_PORT_OPEN:
                port?.SetGuestOpen(message.value == 1);
                break;
        }
    }
}
