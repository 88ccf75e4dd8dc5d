using KvmSharp.Core;

namespace KvmSharp.Virtio;

/// <summary>How a device reaches its driver. All members may be called on any thread, take no lock that a vCPU holds for long, and never block.</summary>
public interface IVirtioInterrupt
{
    /// <summary>Buffers of this queue were used and the driver asked to be told.</summary>
    void SignalQueue(int queue);

    /// <summary>The device configuration, or DEVICE_NEEDS_RESET, has changed.</summary>
    void SignalConfig();

    /// <summary>
    /// The eventfd whose signal is the queue's interrupt, for a back end outside the process; null if there is none at the moment
    /// (no vector, INTx) and <see cref="SignalQueue"/> is the only way.
    /// </summary>
    EventFd? GetQueueEventFd(int queue);

    /// <summary><see cref="GetQueueEventFd"/> may answer otherwise from now on. Raised under locks of the transport or of PCI: handlers are quick.</summary>
    event Action? QueueEventFdsChanged;
}
