using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>Who serves a receive and a transmit queue. Control thread, unless a member says otherwise. Throws <see cref="Core.LinuxException"/>.</summary>
internal interface INetPair
{
    /// <summary>The driver is ready; before the first queue.</summary>
    void Activate(VirtioContext context);

    /// <summary>One of its queues was started and not stopped since.</summary>
    bool IsRunning { get; }

    void StartReceive(VirtQueueBinding binding);

    void StartTransmit(VirtQueueBinding binding);

    /// <summary>Null if it was not running.</summary>
    VirtQueueState? StopReceive();

    /// <inheritdoc cref="StopReceive"/>
    VirtQueueState? StopTransmit();

    /// <summary>
    /// The host's queue takes part in its steering or does not: said after it was attached and before it is detached, on any thread. False if that failed.
    /// </summary>
    bool SetActive(bool active);
}
