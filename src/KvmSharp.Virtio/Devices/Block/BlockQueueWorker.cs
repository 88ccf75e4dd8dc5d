using KvmSharp.Abi;
using KvmSharp.Abi.Virtio;
using KvmSharp.Backends.Block;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Block;

/// <summary>
/// One request queue of a virtio-blk device on its loop: pops, hands to the back end in one batch per kick, pushes what has completed with
/// one interrupt per batch. Everything but construction and <see cref="Stop"/> runs on the loop.
/// </summary>
internal sealed unsafe class BlockQueueWorker : IEventSink, IPollSink, IBlockCompletion, IDisposable
{
    private const uint KickCookie = 0;
    private const uint CompletionCookie = 1;
    private const uint StartCookie = 2;
    private const uint StopCookie = 3;

    /// <summary>Chains per turn, so that one queue cannot starve its loop.</summary>
    private const int Budget = 256;

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
    private bool _running;
    private bool _pushed;

    /// <summary>Opens the engine; throws what <see cref="IBlockBackend.OpenIo"/> throws.</summary>
    public BlockQueueWorker(IBlockQueueOwner owner, int index, VirtQueue queue, int segmentLimit, EventFd kick, EventLoop loop, BlockDisk disk)
    {
        _owner = owner;
        _index = index;
        _queue = queue;
        _kick = kick;
        _loop = loop;
        _parser = new BlockRequestParser(disk);
        _io = disk.Backend.OpenIo(queue.Size, this);
        _slots = new BlockRequestSlots(queue.Size, segmentLimit);
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
                    ReapAndPublish();
                else
                    Serve();
                break;
        }
    }

    public void OnCompleted(uint tag, int result)
    {
        ref BlockRequestSlots.Slot slot = ref _slots[(int)tag];
        Finish(ref slot, result == slot.Expected ? VirtioBlk.VIRTIO_BLK_S_OK : VirtioBlk.VIRTIO_BLK_S_IOERR);
    }

    void IPollSink.BeginPoll()
    {
        _queue.DisableNotifications();
        _io.SetCompletionEvents(false);
    }

    bool IPollSink.Poll()
    {
        bool found = _queue.HasAvailable;
        if (found)
            PopAndSubmit();
        if (_io.HasCompletions)
        {
            ReapAndPublish();
            found = true;
        }

        return found;
    }

    void IPollSink.EndPoll()
    {
        _io.SetCompletionEvents(true);
        if (_io.HasCompletions)
            ReapAndPublish();
        if (!_queue.TryEnableNotifications())
            Serve();
        ReportFault();
    }

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
        Publish();
    }

    /// <summary>Disable → drain → publish → enable → look again (virtio 1.2 §2.7.13.3.1).</summary>
    private void Serve()
    {
        do
        {
            _queue.DisableNotifications();
            if (!PopAndSubmit())
            {
                _loop.Post(this, KickCookie);
                return;
            }
        }
        while (!_queue.TryEnableNotifications());
        ReportFault();
    }

    /// <summary>One turn; false when the budget ended it.</summary>
    private bool PopAndSubmit()
    {
        int budget = Budget;
        while (budget > 0 && _queue.TryPop(out DescriptorChain chain))
        {
            Take(chain);
            budget--;
        }

        _io.Submit();
        ReapAndPublish();
        return budget > 0;
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
                _pushed = true;
                _owner.OnMalformedRequest(_index);
                break;
        }
    }

    private void Finish(ref BlockRequestSlots.Slot slot, byte status)
    {
        // SAFETY: the last byte of the chain's writable segments, which are checked guest memory.
        Volatile.Write(ref *slot.Status, status);
        _queue.Push(slot.Token, slot.BytesWritten);
        _pushed = true;
    }

    private void ReapAndPublish()
    {
        _io.Reap();
        Publish();
    }

    private void Publish()
    {
        if (!_pushed)
            return;
        _pushed = false;
        if (_queue.Publish())
            _owner.SignalQueue(_index);
    }

    private void ReportFault()
    {
        if (_queue.TryReportFault(out VirtQueueFault fault))
            _owner.OnQueueFault(_index, fault);
    }
}
