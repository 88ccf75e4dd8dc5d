using KvmSharp.Core.Events;
using KvmSharp.Core.Memory;
using KvmSharp.Virtio.Queues;

namespace KvmSharp.Virtio.Devices.Rng;

/// <summary>Serves the request queue on its event loop. Everything but the constructor runs there.</summary>
internal sealed class RngWorker : IEventSink, IDisposable
{
    private const uint KickCookie = 0, TimerCookie = 1, AgainCookie = 2, StopCookie = 3;

    /// <summary>Chains per wake-up, so that other devices of the loop have their turn.</summary>
    private const int Budget = 16;

    /// <summary>The driver gets at least one byte and may ask again for more (virtio 1.2 §5.4.6).</summary>
    private const uint MaxPerRequest = 16 * 1024;

    private readonly EventLoop _loop;
    private readonly VirtioRngOptions _options;
    private readonly VirtQueueBinding _binding;
    private readonly VirtQueue _queue;
    private readonly EventTimer? _timer;
    private readonly EventToken _token;
    private ulong _left;
    private bool _waiting;
    private bool _stopped;

    public RngWorker(EventLoop loop, VirtioRngOptions options, VirtQueueBinding binding, VirtQueue queue)
    {
        _loop = loop;
        _options = options;
        _binding = binding;
        _queue = queue;
        _left = options.MaxBytes > 0 ? options.MaxBytes : ulong.MaxValue;
        _timer = options.MaxBytes > 0 ? new EventTimer(loop, this, TimerCookie) : null;
        _token = loop.Register(binding.Kick, Abi.LibcConstants.EPOLLIN, this, KickCookie);
    }

    public void OnReady(uint cookie, uint epollEvents)
    {
        if (cookie == StopCookie)
            _stopped = true;
        if (_stopped)
            return;
        if (cookie == KickCookie)
            _binding.Kick.Drain();
        if (cookie == TimerCookie)
        {
            _left = _options.MaxBytes;
            _waiting = false;
        }

        if (!_waiting)
            Serve();
    }

    /// <summary>Ends the service. Off the loop's thread; afterwards nothing runs any more.</summary>
    public VirtQueueState Stop()
    {
        _loop.Invoke(this, StopCookie);
        return _queue.Save();
    }

    public void Dispose()
    {
        _loop.Unregister(_token);
        _timer?.Dispose();
    }

    private void Serve()
    {
        int budget = Budget;
        do
        {
            _queue.DisableNotifications();
            while (budget > 0 && _queue.TryPop(out DescriptorChain chain))
            {
                if (_left == 0)
                {
                    _queue.Unpop(chain.Token);
                    _waiting = true;
                    break;
                }

                budget--;
                uint written = Fill(chain.Writable, Math.Min(chain.WritableBytes, MaxPerRequest));
                _queue.Push(chain.Token, written);
            }

            if (_queue.Publish())
                _binding.Context.Interrupt.SignalQueue(_binding.Index);
            if (_waiting)
            {
                _timer!.Arm(_options.PeriodMs * 1_000_000L);
                return;
            }

            if (budget == 0)
            {
                _loop.Post(this, AgainCookie);
                return;
            }
        }
        while (!_queue.TryEnableNotifications());
        _binding.Context.ReportFault(_binding.Index, _queue);
    }

    private uint Fill(ReadOnlySpan<IoVec> segments, uint wanted)
    {
        ulong allowed = Math.Min(wanted, _left);
        uint done = 0;
        foreach (ref readonly IoVec segment in segments)
        {
            int take = (int)Math.Min(segment.Length, allowed - done);
            if (take == 0)
                break;
            // SAFETY: take is at most the segment's length, which the queue has checked.
            int filled = FillRange(segment, take);
            done += (uint)filled;
            if (filled < take)
                break;
        }

        if (_options.MaxBytes > 0)
            _left -= done;
        return done;
    }

    private unsafe int FillRange(in IoVec segment, int take) => _options.Source.Fill(new Span<byte>(segment.Base, take));
}
