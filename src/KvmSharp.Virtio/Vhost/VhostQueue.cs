using KvmSharp.Abi;
using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Vhost;

/// <summary>
/// A virtqueue that a vhost back end serves. Kicks reach it through the transport's eventfd and interrupts leave it through the vector's, so that
/// neither passes through this program; where an interrupt has no eventfd (the pin, no irqfd) the loop passes it on.
/// </summary>
internal sealed class VhostQueue : IEventSink, IDisposable
{
    private const uint CallCookie = 0, ErrorCookie = 1;

    // wiring
    private readonly IVhostBackend _backend;
    private readonly int _vring;
    private readonly VirtQueueBinding _binding;
    private readonly VhostAreas _areas;
    private readonly EventLoop _loop;
    private readonly EventFd _bounce = new();
    private readonly EventFd _error = new();
    private readonly EventToken _bounceToken;
    private readonly EventToken _errorToken;

    // Innermost but for the back end's calls: whoever changes the interrupt's way does it under locks of the transport or of PCI.
    private readonly Lock _sync = new();

    // volatile state
    private uint _position;
    private bool _running;
    private EventFd? _call;

    private VhostQueue(IVhostBackend backend, int vring, VirtQueueBinding binding, VhostAreas areas, EventLoop loop)
    {
        _backend = backend;
        _vring = vring;
        _binding = binding;
        _areas = areas;
        _loop = loop;
        _position = binding.State.ToVringBase(IsPacked);
        _bounceToken = loop.Register(_bounce, LibcConstants.EPOLLIN, this, CallCookie);
        _errorToken = loop.Register(_error, LibcConstants.EPOLLIN, this, ErrorCookie);
        Interrupt.QueueEventFdsChanged += Rewire;
    }

    /// <summary>Where it stands; while it runs, where it started.</summary>
    public VirtQueueState State => VirtQueueState.FromVringBase(_position, IsPacked);

    private IVirtioInterrupt Interrupt => _binding.Context.Interrupt;

    private bool IsPacked => _binding.Context.Has(VirtioFeatures.RingPacked);

    /// <summary>Checks what the driver says about the queue. On a fault reports it and returns null. Does not run yet.</summary>
    public static unsafe VhostQueue? Open(IVhostBackend backend, int vring, VirtQueueBinding binding, EventLoop loop)
    {
        VirtQueueConfig config = binding.Config;
        VirtQueueFault fault = RingAreas.Resolve(config, binding.Context.Memory, binding.Context.Has(VirtioFeatures.RingPacked), out RingAreas areas);
        if (fault != VirtQueueFault.None)
        {
            binding.ReportFault(fault);
            return null;
        }

        // SAFETY: the pointers go to the back end as numbers; it has the memory they are in, which outlives the queue's run.
        VhostAreas located = new(
            new(config.DescriptorArea, (nint)areas.Descriptor), new(config.DriverArea, (nint)areas.Driver), new(config.DeviceArea, (nint)areas.Device));
        if (binding.IsFresh)
            backend.ForgetVring(vring);
        return new VhostQueue(backend, vring, binding, located, loop);
    }

    /// <summary>Describes the vring and starts it where it stands. Idempotent. Any thread. Throws <see cref="LinuxException"/>, then it does not run.</summary>
    public void Run()
    {
        lock (_sync)
        {
            if (_running)
                return;
            try
            {
                _backend.SetVringSize(_vring, _binding.Config.Size);
                _backend.SetVringBase(_vring, _position);
                _backend.SetVringAreas(_vring, _areas);
                _backend.SetVringError(_vring, _error);
                _call = Interrupt.GetQueueEventFd(_binding.Index) ?? _bounce;
                _backend.SetVringCall(_vring, _call);
                _backend.SetVringKick(_vring, _binding.Kick);
                _backend.StartVring(_vring);
                _running = true;
            }
            catch
            {
                _ = _backend.TryStopVring(_vring, out _);
                throw;
            }
        }
    }

    /// <summary>Stops the vring and remembers where. Idempotent. Any thread.</summary>
    public void Halt()
    {
        lock (_sync)
        {
            if (!_running)
                return;
            _running = false;
            if (_backend.TryStopVring(_vring, out uint position))
                _position = position;
            else
                _binding.Context.NeedsReset($"queue {_binding.Index}: its back end cannot say where it stands");
        }
    }

    /// <summary>Halts it for good, with no interrupt left behind. Control thread, with no lock that a sink of the loop wants.</summary>
    public void Dispose()
    {
        Interrupt.QueueEventFdsChanged -= Rewire;
        Halt();
        _loop.Unregister(_bounceToken);
        _loop.Unregister(_errorToken);
        if (_bounce.Drain())
            Interrupt.SignalQueue(_binding.Index);
        _bounce.Dispose();
        _error.Dispose();
    }

    void IEventSink.OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == CallCookie)
        {
            if (_bounce.Drain())
                Interrupt.SignalQueue(_binding.Index);
        }
        else if (_error.Drain())
        {
            _binding.Context.NeedsReset($"queue {_binding.Index}: its back end found a broken ring");
        }
    }

    /// <summary>The interrupt takes another way from now on. What the old one swallowed is said again: an interrupt too many does no harm.</summary>
    private void Rewire()
    {
        lock (_sync)
        {
            EventFd call = Interrupt.GetQueueEventFd(_binding.Index) ?? _bounce;
            if (!_running || ReferenceEquals(call, _call))
                return;
            try
            {
                _backend.SetVringCall(_vring, call);
                _call = call;
            }
            catch (LinuxException error)
            {
                _binding.Context.NeedsReset(error.Message);
                return;
            }
        }

        Interrupt.SignalQueue(_binding.Index);
    }
}
