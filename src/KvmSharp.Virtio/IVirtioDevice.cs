using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio;

/// <summary>
/// A virtio device without its transport. The transport calls it on one thread at a time, under its access lock: a device takes
/// no lock that its I/O thread holds while it calls the transport. A guest can cause any order of calls that respects the remarks.
/// </summary>
/// <remarks>
/// Reset state: <see cref="Activate"/>, then any number of <see cref="StartQueue"/> and <see cref="StopQueue"/>, then
/// <see cref="Reset"/> with every queue stopped. Configuration accesses come at any time.
/// </remarks>
public interface IVirtioDevice : IDisposable
{
    VirtioIdentity Identity { get; }

    /// <summary>Reads device configuration; the range is inside <see cref="VirtioIdentity.ConfigLength"/>.</summary>
    void ReadConfig(uint offset, Span<byte> data);

    /// <summary>The driver writes device configuration; the range is inside <see cref="VirtioIdentity.ConfigLength"/>.</summary>
    void WriteConfig(uint offset, ReadOnlySpan<byte> data);

    /// <summary>The driver is ready: features are settled. Before the first queue.</summary>
    void Activate(VirtioContext context);

    /// <summary>Begins to serve a queue that is not running: at DRIVER_OK, re-enable, restore and resume alike.</summary>
    void StartQueue(int index, VirtQueueBinding binding);

    /// <summary>
    /// Ends serving a queue when its requests in flight are done, and says where it stands; null if it was not running. Idempotent.
    /// </summary>
    VirtQueueState? StopQueue(int index);

    /// <summary>Back to power-on. Every queue is stopped already. Idempotent.</summary>
    void Reset();
}
