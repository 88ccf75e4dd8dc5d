using KvmSharp.Abi;
using KvmSharp.Backends.Net;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Net;

/// <summary>A transmit queue: packets go from the driver's buffers straight to the host, which judges their headers. Loop thread.</summary>
internal sealed class NetTransmitter(VirtQueueBinding binding, VirtQueue queue, INetQueue host)
{
    private const int Budget = 256;

    /// <summary>Packets, and bytes, after which the driver gets its buffers back: it goes on while the others are sent, and large segments are what its window is short of.</summary>
    private const int BatchPackets = 16, BatchBytes = 32 * 1024;

    private int _unpublished;
    private uint _unpublishedBytes;

    /// <summary>Waits for room on the host.</summary>
    public bool IsBlocked { get; private set; }

    /// <summary>The driver has packets that could be sent.</summary>
    public bool HasWork => !IsBlocked && queue.HasAvailable;

    /// <summary>Sends until the driver has no more, the host no room, or the turn is over: then true. The driver kicks for what comes after the last.</summary>
    public bool Serve()
    {
        do
        {
            queue.DisableNotifications();
            if (SendTurn())
                return true;
        }
        while (!IsBlocked && !queue.TryEnableNotifications());
        binding.Context.ReportFault(binding.Index, queue);
        return false;
    }

    /// <summary>As <see cref="Serve"/>, for who looks again soon without being kicked.</summary>
    public bool SendTurn()
    {
        IsBlocked = false;
        int budget = Budget;
        while (budget > 0 && queue.TryPop(out DescriptorChain chain))
        {
            // What the host does not take (a header that makes no sense, a link that is down) is lost, as on a wire.
            int result = chain.ReadableBytes > TapBackend.HeaderLength ? host.Send(chain.Readable) : 0;
            if (result == -LibcConstants.EAGAIN)
            {
                queue.Unpop(chain.Token);
                IsBlocked = true;
                break;
            }

            budget--;
            queue.Push(chain.Token, 0);
            _unpublishedBytes += chain.ReadableBytes;
            if (++_unpublished == BatchPackets || _unpublishedBytes >= BatchBytes)
                Publish();
        }

        Publish();
        return budget == 0;
    }

    /// <summary>The driver need not kick from now on: somebody looks.</summary>
    public void BeginPoll() => queue.DisableNotifications();

    private void Publish()
    {
        if (_unpublished == 0)
            return;
        _unpublished = 0;
        _unpublishedBytes = 0;
        if (queue.Publish())
            binding.Context.Interrupt.SignalQueue(binding.Index);
    }
}
