using KvmSharp.Core;
using KvmSharp.Core.Fabric;
using static KvmSharp.Abi.Virtio.VirtioMmio;

namespace KvmSharp.Virtio.Transport;

/// <summary>The interrupt of a virtio-mmio device: a level that stays until the driver has acknowledged every reason for it.</summary>
internal sealed class VirtioMmioLine(IIrqLine line) : IVirtioInterrupt
{
    // Innermost: keeps the status register and the level together.
    private readonly Lock _sync = new();
    private uint _status;

    /// <summary>Never raised.</summary>
    public event Action? QueueEventFdsChanged
    {
        add { }
        remove { }
    }

    public uint Status => Volatile.Read(ref _status);

    public void SignalQueue(int queue) => Raise(VIRTIO_MMIO_INT_VRING);

    public void SignalConfig() => Raise(VIRTIO_MMIO_INT_CONFIG);

    public EventFd? GetQueueEventFd(int queue) => null;

    public void Acknowledge(uint bits)
    {
        lock (_sync)
        {
            _status &= ~bits;
            if (_status == 0)
                line.SetLevel(false);
        }
    }

    private void Raise(uint reason)
    {
        lock (_sync)
        {
            _status |= reason;
            line.SetLevel(true);
        }
    }
}
