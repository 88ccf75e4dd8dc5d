using System.Runtime.InteropServices;
using KvmSharp.Abi.Virtio;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio;
using KvmSharp.Virtio.Queues;
using static KvmSharp.Abi.Virtio.VirtioNet;

namespace KvmSharp.Serve.Net;

/// <summary>
/// A receive queue, into which whoever has frames for the driver copies them. A burst is between <see cref="TryBegin"/> and <see cref="End"/>, which
/// hold a lock: senders of one thread never contend for it. The queue comes and goes on the control thread.
/// </summary>
internal sealed class ReceiveRing(FrameCapture? capture)
{
    /// <summary>Most buffers that one frame is spread over.</summary>
    private const int MaxBuffers = 1024;

    private readonly Lock _gate = new();
    private readonly Part[] _parts = new Part[MaxBuffers];
    private readonly IoVec[] _head = new IoVec[NetFrame.HeaderBytes];
    private VirtQueueBinding? _binding;
    private VirtQueue? _queue;
    private bool _mergeable;

    public PortCounters Counters { get; } = new();

    /// <summary>There is a queue. A hint on any thread but the control thread.</summary>
    public bool IsRunning => Volatile.Read(ref _queue) is not null;

    public void Attach(VirtQueueBinding binding, VirtQueue queue)
    {
        lock (_gate)
        {
            _binding = binding;
            _mergeable = binding.Context.Has(1UL << VIRTIO_NET_F_MRG_RXBUF);
            // Who has frames looks for buffers then; nobody waits for them.
            queue.DisableNotifications();
            Volatile.Write(ref _queue, queue);
        }
    }

    /// <summary>No frame is copied any more when this returns.</summary>
    public VirtQueueState Detach()
    {
        lock (_gate)
        {
            VirtQueueState state = _queue!.Save();
            _binding = null;
            Volatile.Write(ref _queue, null);
            return state;
        }
    }

    /// <summary>Begins a burst. False: there is no queue.</summary>
    public bool TryBegin()
    {
        _gate.Enter();
        if (_queue is not null)
            return true;
        _gate.Exit();
        return false;
    }

    /// <summary>Ends a burst: the driver gets what was put.</summary>
    public void End()
    {
        VirtQueueBinding binding = _binding!;
        VirtQueue queue = _queue!;
        bool wanted = queue.Publish();
        // With event indices this has to be said anew as the ring moves on.
        queue.DisableNotifications();
        binding.Context.ReportFault(binding.Index, queue);
        _gate.Exit();
        if (wanted)
            binding.Context.Interrupt.SignalQueue(binding.Index);
    }

    /// <summary>As <see cref="End"/>, for who has more to put: true if the driver will kick for buffers, false if there are some already.</summary>
    public bool EndAndWait()
    {
        bool armed = _queue!.TryEnableNotifications();
        VirtQueueBinding binding = _binding!;
        bool wanted = _queue.Publish();
        binding.Context.ReportFault(binding.Index, _queue);
        _gate.Exit();
        if (wanted)
            binding.Context.Interrupt.SignalQueue(binding.Index);
        return armed;
    }

    /// <summary>Copies one frame, in a burst. False: the driver has not buffers enough, and none is taken.</summary>
    /// <param name="from">With <paramref name="skip"/> bytes in front that do not belong to the frame.</param>
    /// <param name="skip">Offset of the frame, in bytes.</param>
    /// <param name="bytes">Length of the frame.</param>
    public bool TryPut(ReadOnlySpan<IoVec> from, uint skip, uint bytes)
    {
        VirtQueue queue = _queue!;
        if (!queue.TryPop(out DescriptorChain chain))
            return false;
        uint head = (uint)NetFrame.HeaderBytes;
        if (chain.WritableBytes < head + bytes)
            return TryPutMerged(queue, chain, from, skip, bytes);
        WriteHeader(chain.Writable, 1);
        NetFrame.Copy(chain.Writable, head, from, skip, bytes);
        queue.Push(chain.Token, head + bytes);
        Count(from, skip, bytes);
        return true;
    }

    private bool TryPutMerged(VirtQueue queue, DescriptorChain chain, ReadOnlySpan<IoVec> from, uint skip, uint bytes)
    {
        uint head = (uint)NetFrame.HeaderBytes;
        if (!_mergeable || chain.WritableBytes < head)
        {
            queue.Unpop(chain.Token);
            return false;
        }

        // The number of buffers is known last, when the first of them is forgotten: empty segments are none, so a header has no more segments than bytes.
        int headSegments = Math.Min(chain.Writable.Length, _head.Length);
        chain.Writable[..headSegments].CopyTo(_head);
        uint done = 0;
        int count = 0;
        while (true)
        {
            uint at = count == 0 ? head : 0;
            uint take = Math.Min(chain.WritableBytes - at, bytes - done);
            NetFrame.Copy(chain.Writable, at, from, skip + done, take);
            _parts[count++] = new Part(chain.Token, at + take);
            done += take;
            if (done == bytes)
                break;
            if (count == _parts.Length || !queue.TryPop(out chain))
            {
                while (count > 0)
                    queue.Unpop(_parts[--count].Token);
                return false;
            }
        }

        WriteHeader(_head.AsSpan(0, headSegments), (ushort)count);
        for (int i = 0; i < count; i++)
            queue.Push(_parts[i].Token, _parts[i].Bytes);
        Count(from, skip, bytes);
        return true;
    }

    private static void WriteHeader(ReadOnlySpan<IoVec> to, ushort buffers)
    {
        // Nothing was agreed to that would put anything else into it.
        virtio_net_hdr_v1 header = new() { num_buffers = buffers };
        _ = IoVecCopy.CopyFrom(to, 0, MemoryMarshal.AsBytes(new ReadOnlySpan<virtio_net_hdr_v1>(in header)));
    }

    private void Count(ReadOnlySpan<IoVec> from, uint skip, uint bytes)
    {
        Counters.Add(1, bytes);
        capture?.Write(from, skip, bytes);
    }

    private readonly record struct Part(VirtQueueToken Token, uint Bytes);
}
