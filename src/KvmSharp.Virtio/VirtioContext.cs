using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio;

/// <summary>What an active device works with, from <see cref="IVirtioDevice.Activate"/> to <see cref="IVirtioDevice.Reset"/>.</summary>
public sealed class VirtioContext(ulong features, GuestMemory memory, IVirtioInterrupt interrupt, IVirtioFaultSink faults)
{
    /// <summary>Negotiated feature bits.</summary>
    public ulong Features { get; } = features;

    public GuestMemory Memory { get; } = memory;

    public IVirtioInterrupt Interrupt { get; } = interrupt;

    public bool Has(ulong feature) => (Features & feature) != 0;

    /// <inheritdoc cref="IVirtioFaultSink.NeedsReset"/>
    public void NeedsReset(string reason) => faults.NeedsReset(reason);

    /// <summary>Reports a queue's violation, once. Call it whenever a queue has run dry. Any thread.</summary>
    public void ReportFault(int index, VirtQueue queue)
    {
        if (queue.TryReportFault(out VirtQueueFault fault))
            faults.NeedsReset($"queue {index}: {fault}");
    }
}
