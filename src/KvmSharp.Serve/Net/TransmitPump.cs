using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Serve.Net;

/// <summary>A transmit queue: what the driver sends goes to a sink, in bursts, or without one nowhere: then nothing but descriptors is read. Loop thread.</summary>
internal sealed class TransmitPump(VirtQueueBinding binding, VirtQueue queue, IFrameSink? sink, FrameCapture? capture, PortCounters counters)
{
    /// <summary>Chains per turn, so that other queues of the thread have theirs.</summary>
    private const int Budget = 256;

    /// <summary>Chains that the driver gets back at once.</summary>
    private const int Batch = 64;

    /// <summary>Takes what there is, up to a turn's budget. The driver kicks for what comes later. True: the turn was over before.</summary>
    public bool Serve()
    {
        do
        {
            queue.DisableNotifications();
            if (TakeTurn() == Budget)
                return true;
        }
        while (!queue.TryEnableNotifications());
        binding.Context.ReportFault(binding.Index, queue);
        return false;
    }

    /// <summary>One turn for who looks again soon without being kicked; how many chains there were.</summary>
    public int TakeTurn()
    {
        int taken = 0;
        while (taken < Budget)
        {
            int burst = TakeBurst();
            taken += burst;
            if (burst < Batch)
                break;
        }

        return taken;
    }

    /// <summary>The driver need not kick from now on: somebody looks.</summary>
    public void BeginPoll() => queue.DisableNotifications();

    public VirtQueueState Stop() => queue.Save();

    private int TakeBurst()
    {
        int count = 0, taken = 0;
        long takenBytes = 0;
        uint head = (uint)NetFrame.HeaderBytes;
        while (count < Batch && queue.TryPop(out DescriptorChain chain))
        {
            count++;
            uint bytes = chain.ReadableBytes - head;
            // Less than a header wraps round to more than any frame has.
            if (bytes is >= NetFrame.MinBytes and <= NetFrame.MaxBytes)
            {
                taken++;
                takenBytes += bytes;
                capture?.Write(chain.Readable, head, bytes);
                sink?.Take(chain.Readable, bytes);
            }

            queue.Push(chain.Token, 0);
        }

        if (count == 0)
            return 0;
        counters.Add(taken, takenBytes);
        if (taken < count)
            counters.AddLost(count - taken);
        sink?.EndBurst();
        if (queue.Publish())
            binding.Context.Interrupt.SignalQueue(binding.Index);
        return count;
    }
}
