using System.Diagnostics;
using KvmSharp.Core.Chars;
using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Console;

/// <summary>
/// One port: a receive and a transmit queue between the driver and a host end. Host input waits in a ring until the driver has buffers;
/// what the host end does not take stays in the driver's queue. Queues are served on the loop, input arrives on the backend's thread.
/// </summary>
internal sealed class ConsolePort : ICharFrontend, IEventSink, IDisposable
{
    private const uint ReceiveCookie = 0, TransmitCookie = 1, SignalCookie = 2, StallCookie = 3;

    /// <summary>Beside the bits of <see cref="CharEvent"/>.</summary>
    private const int InputArrived = 0x100, RemovalAsked = 0x200;

    // Per turn, so that other ports of the loop have theirs.
    private const int ChainBudget = 64;
    private const int ByteBudget = 256 * 1024;
    private const int LargestWrite = 64 * 1024;

    // wiring
    private readonly EventLoop _loop;
    private readonly ConsolePortOptions _options;
    private readonly IConsolePortOwner _owner;
    private readonly ICharBackend _backend;
    private readonly long _maxStallNs;
    private readonly EventTimer? _stallTimer;
    private readonly ConsoleQueue _receive;
    private readonly ConsoleQueue _transmit;
    private readonly InputRing _input = new();
    private readonly PortAnnouncer _announcer;

    // volatile state
    private int _signals;
    private bool _guestOpen;
    private bool _blocked;
    private bool _discarding;
    private long _blockedAt;
    private ulong _sent;
    private VirtQueueState? _stoppedTransmit;

    public ConsolePort(EventLoop loop, ConsolePortOptions options, IConsolePortOwner owner, long maxStallNs)
    {
        _loop = loop;
        _options = options;
        _owner = owner;
        _backend = options.Backend;
        _maxStallNs = maxStallNs;
        _stallTimer = options.IsConsole ? new EventTimer(loop, this, StallCookie) : null;
        _receive = new ConsoleQueue(loop, this, ReceiveCookie);
        _transmit = new ConsoleQueue(loop, this, TransmitCookie);
        _announcer = new PortAnnouncer(options);
        _backend.Start(this);
    }

    public uint Id => _options.Id;

    public bool IsConsole => _options.IsConsole;

    public TerminalSize Size => _backend.Size;

    /// <summary>What the driver has to be told. Loop thread.</summary>
    public PortAnnouncer Announcer => _announcer;

    public int Capacity => _input.Room;

    public void Receive(ReadOnlySpan<byte> data)
    {
        _input.Enqueue(data);
        Signal(InputArrived);
    }

    public void OnHostEvent(CharEvent happened) => Signal((int)happened);

    /// <summary>Takes the port away from the driver. Any thread.</summary>
    public void Remove() => Signal(RemovalAsked);

    /// <summary>A byte past the driver's queue; dropped if the host end does not take it. vCPU threads.</summary>
    public void WriteEmergency(byte value) => _ = _backend.TryWrite([value]);

    /// <summary>Control thread, as the other three.</summary>
    public void StartReceive(VirtQueueBinding binding) => _receive.Start(binding);

    public void StartTransmit(VirtQueueBinding binding)
    {
        // Of a ring that is a new one, nothing has been sent.
        if (binding.State != _stoppedTransmit)
            _sent = 0;
        _transmit.Start(binding);
    }

    public VirtQueueState? StopReceive() => _receive.Stop();

    public VirtQueueState? StopTransmit()
    {
        VirtQueueState? state = _transmit.Stop();
        _stoppedTransmit = state ?? _stoppedTransmit;
        return state;
    }

    /// <summary>The driver has opened or closed its end. Loop thread.</summary>
    public void SetGuestOpen(bool open)
    {
        _guestOpen = open;
        Deliver();
    }

    /// <summary>Back to power-on; what the host has sent waits for the next driver. Loop thread, queues stopped.</summary>
    public void Reset()
    {
        _guestOpen = false;
        _sent = 0;
        _stoppedTransmit = null;
        _announcer.Reset();
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        switch (cookie)
        {
            case ReceiveCookie:
                if (!Deliver() && _receive.Queue is not null)
                    _receive.Check();
                break;
            case TransmitCookie:
                Transmit();
                break;
            case StallCookie:
                OnStalled();
                break;
            default:
                OnSignals(Interlocked.Exchange(ref _signals, 0));
                break;
        }
    }

    /// <summary>Lets go of the host end. Control thread, queues stopped.</summary>
    public void Dispose()
    {
        _backend.Dispose();
        _stallTimer?.Dispose();
    }

    /// <summary>Any thread. One post carries all that happens until it is served.</summary>
    private void Signal(int bits)
    {
        if (Interlocked.Or(ref _signals, bits) == 0)
            _loop.Post(this, SignalCookie);
    }

    private void OnSignals(int signals)
    {
        // Input before news: the driver shall have the last words of who has left before it hears so.
        if ((signals & InputArrived) != 0)
            Deliver();
        var happened = (CharEvent)(signals & ~(InputArrived | RemovalAsked));
        if ((happened & CharEvent.Writable) != 0)
        {
            _blocked = false;
            _discarding = false;
            _stallTimer?.Disarm();
            Transmit();
        }

        if ((happened & ~CharEvent.Writable) == 0 && (signals & RemovalAsked) == 0)
            return;
        _announcer.OnHostEvent(happened);
        if ((signals & RemovalAsked) != 0)
            _announcer.OnRemoved();
        _owner.OnPortChanged(this, happened);
    }

    /// <summary>False if there was nothing to deliver, or it must wait for the driver to open the port.</summary>
    private bool Deliver()
    {
        VirtQueue? queue = _receive.Queue;
        if (queue is null || _input.Count == 0 || (_owner.IsMultiport && !_guestOpen))
            return false;
        queue.DisableNotifications();
        for (int budget = ChainBudget; _input.Count > 0; budget--)
        {
            if (budget == 0)
            {
                _loop.Post(this, ReceiveCookie);
                break;
            }

            if (queue.TryPop(out DescriptorChain chain))
            {
                queue.Push(chain.Token, Fill(chain.Writable));
                continue;
            }

            _receive.Publish();
            if (_receive.TrySleep())
                break;
        }

        _receive.Publish();
        _backend.OnFrontendReady();
        return true;
    }

    private uint Fill(ReadOnlySpan<IoVec> segments)
    {
        uint done = 0;
        while (_input.Count > 0)
        {
            int copied = IoVecCopy.CopyFrom(segments, done, _input.Front);
            if (copied == 0)
                break;
            _input.Discard(copied);
            done += (uint)copied;
        }

        return done;
    }

    private void Transmit()
    {
        VirtQueue? queue = _transmit.Queue;
        if (queue is null || _blocked)
            return;
        int budget = ChainBudget;
        int bytes = ByteBudget;
        do
        {
            queue.DisableNotifications();
            while (budget > 0 && queue.TryPop(out DescriptorChain chain))
            {
                budget--;
                if (!TrySend(chain.Readable, ref bytes))
                {
                    queue.Unpop(chain.Token);
                    budget = 0;
                    break;
                }

                queue.Push(chain.Token, 0);
            }

            _transmit.Publish();
            if (_blocked)
                return;
            if (budget == 0)
            {
                _loop.Post(this, TransmitCookie);
                return;
            }
        }
        while (!_transmit.TrySleep());
    }

    /// <summary>Goes on with the chain where it stopped the last time. False if it is not done: the host end is full, or the turn is over.</summary>
    private unsafe bool TrySend(ReadOnlySpan<IoVec> segments, ref int budget)
    {
        ulong skip = _sent;
        foreach (ref readonly IoVec segment in segments)
        {
            ulong at = Math.Min(skip, segment.Length);
            skip -= at;
            while (at < segment.Length)
            {
                if (budget <= 0)
                    return false;
                int wanted = (int)Math.Min(segment.Length - at, LargestWrite);
                // SAFETY: at + wanted is at most the segment's length, which the queue has checked.
                int taken = _discarding ? wanted : _backend.TryWrite(new ReadOnlySpan<byte>(segment.Base + at, wanted));
                at += (uint)taken;
                _sent += (uint)taken;
                budget -= wanted;
                if (taken == wanted)
                    continue;
                Block();
                return false;
            }
        }

        _sent = 0;
        return true;
    }

    private void Block()
    {
        _blocked = true;
        _blockedAt = Stopwatch.GetTimestamp();
        _stallTimer?.Arm(_maxStallNs);
    }

    /// <summary>
    /// Nobody reads a console at all. Linux spins, with interrupts off, until a console's output is taken, so it is dropped from here on
    /// until somebody reads again.
    /// </summary>
    private void OnStalled()
    {
        // An expiry may still arrive that was meant for an earlier stall.
        if (!_blocked || Stopwatch.GetElapsedTime(_blockedAt).TotalNanoseconds < _maxStallNs)
            return;
        _blocked = false;
        _discarding = true;
        Transmit();
    }
}
