using System.Diagnostics.CodeAnalysis;
using KvmSharp.Core;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio;

/// <summary>All that serving one virtqueue takes, in this process (see <see cref="TryOpen"/>) or in another.</summary>
/// <param name="Index">Virtqueue number.</param>
/// <param name="Config">A copy: the driver cannot change it any more.</param>
/// <param name="Kick">Signalled when the driver notifies, and once at the start. Stays owned by the transport and outlives the queue's run.</param>
/// <param name="State">Cursors to go on from.</param>
/// <param name="Context">The active device's, or one that differs from it in its memory only.</param>
public sealed record VirtQueueBinding(int Index, VirtQueueConfig Config, EventFd Kick, VirtQueueState State, VirtioContext Context)
{
    /// <summary>Where its chains in flight are noted, beyond the life of this process; null: nowhere.</summary>
    public InFlightRegion? InFlight { get; init; }

    /// <summary>The driver has set it up anew: nothing that was in flight in it before is to be done. Else it goes on where it was stopped.</summary>
    public bool IsFresh { get; init; }

    /// <summary>Where it is noted which pages are written, in the queue and its buffers; null: nowhere.</summary>
    public IPageLog? Log { get; init; }

    /// <summary>Opens the queue for service in this process. On a fault reports it and returns false: the queue does not run.</summary>
    public bool TryOpen([NotNullWhen(true)] out VirtQueue? queue)
    {
        VirtQueueFault fault = VirtQueue.Open(Config, Context.Memory, Context.Features, State, out queue, InFlight, Log);
        if (fault != VirtQueueFault.None)
            ReportFault(fault);
        return queue is not null;
    }

    /// <summary>The driver described a queue that cannot be served.</summary>
    public void ReportFault(VirtQueueFault fault) => Context.NeedsReset($"queue {Index}: {fault}");
}
