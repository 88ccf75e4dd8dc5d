using KvmSharp.Abi;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// A virtqueue on a loop. Starts and stops on the control thread; between the two <see cref="Queue"/> is the loop thread's, and its
/// kicks arrive at the sink with the cookie. Edge-triggered: a kick is answered by looking until there is no more.
/// </summary>
internal sealed class ConsoleQueue(EventLoop loop, IEventSink sink, uint cookie) : IEventSink
{
    private VirtQueueBinding? _binding;
    private VirtQueue? _queue;
    private EventToken _token;
    private VirtQueueState _stopped;

    /// <summary>Null while it does not run.</summary>
    public VirtQueue? Queue => Volatile.Read(ref _queue);

    /// <summary>Control thread. Throws <see cref="Core.LinuxException"/>.</summary>
    public void Start(VirtQueueBinding binding)
    {
        if (_queue is not null || !binding.TryOpen(out VirtQueue? queue))
            return;
        _binding = binding;
        Volatile.Write(ref _queue, queue);
        _token = loop.Register(binding.Kick, LibcConstants.EPOLLIN | LibcConstants.EPOLLET, sink, cookie);
    }

    /// <summary>Control thread.</summary>
    public VirtQueueState? Stop()
    {
        if (_queue is null)
            return null;
        loop.Unregister(_token);
        loop.Invoke(this, 0);
        return _stopped;
    }

    /// <summary>Shows the driver what was pushed and interrupts it if it wants that. Loop thread.</summary>
    public void Publish()
    {
        if (_queue!.Publish())
            _binding!.Context.Interrupt.SignalQueue(_binding.Index);
    }

    /// <summary>Waits for the driver to add a buffer; false if it has meanwhile. Loop thread.</summary>
    public bool TrySleep()
    {
        if (!_queue!.TryEnableNotifications())
        {
            _queue.DisableNotifications();
            return false;
        }

        ReportFault();
        return true;
    }

    /// <summary>There is nothing to put into buffers: only looks whether the driver has broken a rule. Loop thread.</summary>
    public void Check()
    {
        if (_queue!.TryPop(out DescriptorChain chain))
            _queue.Unpop(chain.Token);
        ReportFault();
    }

    void IEventSink.OnReady(uint ignoredCookie, uint epollEvents)
    {
        _stopped = _queue!.Save();
        Volatile.Write(ref _queue, null);
    }

    private void ReportFault() => _binding!.Context.ReportFault(_binding.Index, _queue!);
}
