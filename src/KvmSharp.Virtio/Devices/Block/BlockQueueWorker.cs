using System.Diagnostics;
using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// One request queue of a virtio-blk device on its loop: pops, hands to the back end in one batch per kick, pushes what has completed with
/// one interrupt per batch (see <see cref="InterruptPacing"/>). Everything but construction and <see cref="Stop"/> runs on the loop.
/// </summary>
internal sealed unsafe class BlockQueueWorker : IEventSink, IPollSink, IBlockCompletion, IDisposable
{
    private const uint KickCookie = 0;
    private const uint CompletionCookie = 1;
    private const uint StartCookie = 2;
    private const uint StopCookie = 3;

    /// <summary>Chains per turn, so that one queue cannot starve its loop.</summary>
    private const int Budget = 256;

    /// <summary>Data that a turn copies before what is finished is given back, so that the guest goes on meanwhile.</summary>
    private const long PublishBytes = 512 * 1024;

    /// <summary>Data whose copying takes as long as a guest to wake up: with so much held, what the pacing finds enough does not wait for the rest of the turn.</summary>
    private const long OverlapBytes = 128 * 1024;

    /// <summary>Most requests that are held to be given back together.</summary>
    private const int PacingLimit = 32;

    /// <summary>Longest turn in nanoseconds, for the same reason.</summary>
    private const long TurnNs = 1_000_000;

    /// <summary>Edge-triggered: each signal is one event, and the counter need not be read.</summary>
    private const uint EdgeEvents = LibcConstants.EPOLLIN | LibcConstants.EPOLLET;

    private readonly IBlockQueueOwner _owner;
    private readonly int _index;
    private readonly VirtQueue _queue;
    private readonly EventFd _kick;
    private readonly EventLoop _loop;
    private readonly BlockRequestParser _parser;
    private readonly BlockRequestSlots _slots;
    private readonly IBlockIo _io;
    private EventToken _kickToken;
    private EventToken _completionToken;
    private InterruptPacing _pacing;
    private int _held;
    private long _heldBytes;
    private bool _running;

    /// <summary>Opens the engine; throws what <see cref="IBlockBackend.OpenIo"/> and <see cref="BlockRequestSlots"/> throw.</summary>
    public BlockQueueWorker(IBlockQueueOwner owner, int index, VirtQueue queue, int segmentLimit, EventFd kick, EventLoop loop, BlockDisk disk)
    {
        _owner = owner;
        _index = index;
        _queue = queue;
        _kick = kick;
        _loop = loop;
        _parser = new BlockRequestParser(disk);
        _slots = new BlockRequestSlots(queue.Size, segmentLimit);
        try
        {
            _io = disk.Backend.OpenIo(queue.Size, this);
        }
        catch
        {
            _slots.Dispose();
            throw;
        }

        _pacing = new InterruptPacing(Math.Clamp(queue.Size / 4, 1, PacingLimit));
    }

    /// <summary>Requests that the back end has.</summary>
    public int InFlight => _io.InFlight;

    /// <summary>Begins to serve; requests that are in the ring already are served at once. Control thread.</summary>
    public void Start() => _loop.Invoke(this, StartCookie);

    /// <summary>Serves no more, waits for what is in flight, publishes it; where the queue stands then. Control thread.</summary>
    public VirtQueueState Stop()
    {
        _loop.Invoke(this, StopCookie);
        return _queue.Save();
    }

    /// <summary>Control thread, after <see cref="Stop"/>, or instead of <see cref="Start"/>.</summary>
    public void Dispose()
    {
        _io.Dispose();
        _slots.Dispose();
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case StartCookie:
                OnStart();
                break;
            case StopCookie:
                OnStop();
                break;
            default:
                // A post or an event that was on its way when the queue stopped.
                if (!_running)
                    return;
                if (cookie == CompletionCookie)
                    Reap();
                else
                    Serve();
                break;
        }
    }

    public void OnCompleted(uint tag, int result)
    {
        ref BlockRequestSlots.Slot slot = ref _slots[(int)tag];
        _heldBytes += slot.Expected;
        Finish(ref slot, result == slot.Expected ? VirtioBlk.VIRTIO_BLK_S_OK : VirtioBlk.VIRTIO_BLK_S_IOERR);
    }

    void IPollSink.BeginPoll()
    {
        _queue.DisableNotifications();
        _io.SetCompletionEvents(false);
    }

    bool IPollSink.Poll()
    {
        bool found = false;
        if (_queue.HasAvailable)
        {
            _ = PopAndSubmit(Budget);
            ReportFault();
            found = true;
        }
        else if (_io.HasCompletions)
        {
            found = Reap();
        }
        else if (_held > 0 && _pacing.IsOverdue(NowNs))
        {
            Publish(paused: true);
        }

        return found;
    }

    void IPollSink.EndPoll()
    {
        _io.SetCompletionEvents(true);
        Reap();
        if (!_queue.TryEnableNotifications())
            Serve();
        ReportFault();
    }

    private static long NowNs => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    private void OnStart()
    {
        _running = true;
        _kickToken = _loop.Register(_kick, EdgeEvents, this, KickCookie);
        _completionToken = _loop.Register(_io.Completion, EdgeEvents, this, CompletionCookie);
        _loop.AddPollSink(this);
        Serve();
    }

    private void OnStop()
    {
        _running = false;
        _loop.RemovePollSink(this);
        _loop.Unregister(_kickToken);
        _loop.Unregister(_completionToken);
        _io.Drain();
        Publish(paused: false);
    }

    /// <summary>Disable → drain → publish → enable → look again (virtio 1.2 §2.7.13.3.1).</summary>
    private void Serve()
    {
        int budget = Budget;
        long deadline = NowNs + TurnNs;
        do
        {
            _queue.DisableNotifications();
            do
            {
                budget -= PopAndSubmit(budget);
                if (budget <= 0 || NowNs > deadline)
                {
                    _loop.Post(this, KickCookie);
                    return;
                }
            }
            while (GuestSubmitsMore());
        }
        while (!_queue.TryEnableNotifications());
        ReportFault();
    }

    /// <summary>
    /// A guest that keeps several requests in flight is about to submit the next one: looking for it spares it the kick, and holding what is
    /// finished spares it an interrupt each. False when it pauses; nothing is held then.
    /// </summary>
    private bool GuestSubmitsMore()
    {
        if (_held == 0 && (_pacing.Target == 1 || _io.InFlight > 0))
            return false;
        while (!_queue.HasAvailable)
        {
            // To a guest that polls a yield may cost a whole time slice, and there is no interrupt to spare it.
            if (_queue.WantsInterrupt && !_pacing.IsOverdue(NowNs))
            {
                // A vCPU may wait for this very CPU.
                _ = Thread.Yield();
                continue;
            }

            Publish(paused: true);
            return false;
        }

        return true;
    }

    /// <summary>One turn of at most so many chains; how many it was.</summary>
    private int PopAndSubmit(int budget)
    {
        int arrived = 0;
        while (arrived < budget && _queue.TryPop(out DescriptorChain chain))
        {
            Take(chain);
            arrived++;
            if (_heldBytes >= PublishBytes || (_heldBytes >= OverlapBytes && _pacing.IsEnough(_held)))
                Publish(paused: false);
            else if (_io.CompletesAtOnce)
                _io.Reap();
        }

        if (arrived > 0)
            _pacing.OnArrivals(arrived, NowNs);
        _io.Submit();
        _io.Reap();
        // With requests at the disk it is the disk that the guest waits for: each counts. A guest that polls is spared no interrupt.
        if (_io.InFlight > 0 || _pacing.IsEnough(_held) || !_queue.WantsInterrupt)
            Publish(paused: false);
        return arrived;
    }

    private void Take(in DescriptorChain chain)
    {
        switch (_parser.Parse(chain, _slots, out BlockRequest request, out byte status))
        {
            case BlockRequestParser.Verdict.Submit:
                if (!_io.TryEnqueue(request))
                    Finish(ref _slots[(int)request.Tag], VirtioBlk.VIRTIO_BLK_S_IOERR);
                break;
            case BlockRequestParser.Verdict.Answer:
                Finish(ref _slots[chain.Token.Slot], status);
                break;
            default:
                _queue.Push(chain.Token, 0);
                _held++;
                _owner.OnMalformedRequest(_index);
                break;
        }
    }

    private void Finish(ref BlockRequestSlots.Slot slot, byte status)
    {
        // SAFETY: the last byte of the chain's writable segments, which are checked guest memory.
        Volatile.Write(ref *slot.Status, status);
        _queue.Push(slot.Token, slot.BytesWritten);
        _held++;
    }

    /// <summary>Gives back what has completed at the disk, for which the guest waits: nothing is held. True if there was something.</summary>
    private bool Reap()
    {
        bool found = _io.Reap() > 0;
        Publish(paused: false);
        return found;
    }

    private void Publish(bool paused)
    {
        if (_held == 0)
            return;
        _pacing.OnPublished(_held, paused);
        _held = 0;
        _heldBytes = 0;
        if (_queue.Publish())
            _owner.SignalQueue(_index);
    }

    private void ReportFault()
    {
        if (_queue.TryReportFault(out VirtQueueFault fault))
            _owner.OnQueueFault(_index, fault);
    }
}
