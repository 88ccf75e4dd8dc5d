using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>
/// The engine of the stream backends: output goes straight to the descriptor while that takes it and into a bounded ring otherwise; one
/// thread drains the ring, reads input and accepts connections. <see cref="TryWrite"/> leaves what a full ring does not take to its caller; in
/// <see cref="Write"/> a full ring holds a vCPU up for at most <see cref="MaxStallMs"/>, then output is dropped and counted until the other end takes some again.
/// </summary>
internal sealed class CharPump : IDisposable
{
    public const int RingBytes = 64 * 1024;
    public const int MaxStallMs = 100;
    private const int InputChunk = 4096;

    /// <summary>At the end: how long a reader may take for the next bytes, and for all.</summary>
    private const int FlushAtExitMs = 500, FlushInAllMs = 5000;

    /// <summary>Errors in a row after which an input is at its end; each takes it a rest.</summary>
    private const int MaxReadErrors = 16;

    /// <summary>A writer that waits goes on when so much is free: a reader need not be fast to be seen to read.</summary>
    private const int WriterRoom = 4096;

    private readonly EventFd _wake = new();
    private readonly Thread _thread;
    private readonly FileDescriptor? _listener;
    private readonly EscapeFilter? _filter;
    private readonly CharCalls _calls;
    private ICharFrontend? _frontend;
    private volatile bool _stop;
    private int _waitingForFrontend;
    private volatile bool _connected;

    // Pump thread only, once started.
    private FileDescriptor? _input;
    private Patience _reading, _draining, _accepting, _polling;
    private int _readErrors;

    // Guarded by _gate.
    private readonly object _gate = new();
    private readonly ByteRing _ring = new(RingBytes);
    private CharOutput? _output;
    private bool _stalled;
    private long _dropped;
    private bool _writerWaits;
    private bool _hangUp;
    private CharEvent _happened;

    /// <param name="threadName">At most 15 characters are shown by the kernel.</param>
    /// <param name="input">Owned by the pump; null: no input.</param>
    /// <param name="output">Owned by the pump; null: dropped until a connection is accepted.</param>
    /// <param name="listener">A non-blocking listening socket, served one connection at a time; owned by the caller.</param>
    public CharPump(string threadName, FileDescriptor? input, CharOutput? output, FileDescriptor? listener = null, EscapeFilter? filter = null, CharCalls? calls = null)
    {
        _input = input;
        _output = output;
        _listener = listener;
        _filter = filter;
        _calls = calls ?? CharCalls.Host;
        _thread = HostThread.Create(threadName, ThreadRole.Runtime, Loop, 256 * 1024);
    }

    /// <summary>Bytes of output that nobody took.</summary>
    public long DroppedBytes
    {
        get
        {
            lock (_gate)
                return _dropped;
        }
    }

    /// <summary>Where connections are accepted: whether there is one.</summary>
    public bool IsConnected => _listener is null || _connected;

    /// <summary>Tells the front end on the pump's thread. Any thread.</summary>
    public void Raise(CharEvent happened)
    {
        lock (_gate)
            _happened |= happened;
        _wake.Signal();
    }

    public void Start(ICharFrontend frontend)
    {
        _frontend = frontend;
        _thread.Start();
    }

    public void Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            if (_output is null)
            {
                _dropped += data.Length;
                return;
            }

            if (_ring.Count == 0)
                data = data[WriteOrDrop(data)..];
            bool queued = false;
            while (!data.IsEmpty && _output is not null)
            {
                int taken = _ring.Enqueue(data);
                queued |= taken > 0;
                data = data[taken..];
                if (data.IsEmpty)
                    break;
                _wake.Signal();
                if (_stalled || !Monitor.Wait(_gate, MaxStallMs))
                {
                    _stalled = true;
                    break;
                }
            }

            _dropped += data.Length;
            if (queued)
                _wake.Signal();
        }
    }

    /// <inheritdoc cref="ICharBackend.TryWrite"/>
    public int TryWrite(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            if (_output is null)
            {
                _dropped += data.Length;
                return data.Length;
            }

            bool wasEmpty = _ring.Count == 0;
            int taken = wasEmpty ? WriteOrDrop(data) : 0;
            if (taken == data.Length)
                return taken;
            taken += _ring.Enqueue(data[taken..]);
            _writerWaits |= taken < data.Length;
            // Of a ring that is not empty the pump knows.
            if (wasEmpty)
                _wake.Signal();
            return taken;
        }
    }

    /// <summary>The front end has room again. Only costs a system call if the pump waits for it.</summary>
    public void OnFrontendReady()
    {
        // Pairs with the exchange in WantsInput: either it sees the new room or this sees the flag.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _waitingForFrontend) != 0 && Interlocked.Exchange(ref _waitingForFrontend, 0) != 0)
            _wake.Signal();
    }

    public void Dispose()
    {
        _stop = true;
        _wake.Signal();
        if (_thread.IsAlive)
            _thread.Join();
        Flush();
        _input?.Dispose();
        _output?.Dispose();
        _wake.Dispose();
    }

    private void Loop()
    {
        Span<pollfd> items = stackalloc pollfd[4];
        Span<byte> buffer = stackalloc byte[InputChunk];
        while (!_stop)
        {
            FileDescriptor? output;
            lock (_gate)
                output = _ring.Count > 0 ? _output?.Descriptor : null;
            items[0] = new() { fd = _wake.Value, events = LibcConstants.POLLIN };
            items[1] = new() { fd = _input is not null && !_reading.Rests && WantsInput() ? _input.Value : -1, events = LibcConstants.POLLIN };
            items[2] = new() { fd = output is not null && !_draining.Rests ? output.Value : -1, events = LibcConstants.POLLOUT };
            items[3] = new() { fd = _listener is not null && _input is null && !_accepting.Rests ? _listener.Value : -1, events = LibcConstants.POLLIN };
            int ready = _calls.Poll(items, _reading.Rests || _draining.Rests || _accepting.Rests ? Patience.RestMs : -1);
            _reading.Wake();
            _draining.Wake();
            _accepting.Wake();
            if (ready < 0)
            {
                RestAfterPoll(ready);
                continue;
            }

            _polling.Worked();
            if (items[0].revents != 0)
                _wake.Drain();
            if (items[2].revents != 0)
                DrainRing();
            if (items[1].revents != 0)
                ReadInput(buffer);
            if (items[3].revents != 0)
                Accept();
            HangUpIfBroken();
            RaiseEvents();
        }
    }

    /// <summary>A signal, or a host without memory for it.</summary>
    private void RestAfterPoll(int error)
    {
        _polling.InVain();
        if (_polling.Rests || error != -LibcConstants.EINTR)
            Thread.Sleep(Patience.RestMs);
    }

    private void RaiseEvents()
    {
        CharEvent happened;
        lock (_gate)
        {
            happened = _happened;
            _happened = CharEvent.None;
        }

        if (happened != CharEvent.None)
            _frontend!.OnHostEvent(happened);
    }

    private bool WantsInput()
    {
        if (_frontend!.Capacity > 0)
            return true;
        Interlocked.Exchange(ref _waitingForFrontend, 1);
        if (_frontend.Capacity == 0)
            return false;
        Volatile.Write(ref _waitingForFrontend, 0);
        return true;
    }

    private void ReadInput(Span<byte> buffer)
    {
        int room = Math.Min(_frontend!.Capacity, buffer.Length);
        if (room == 0)
            return;
        int count = _calls.Read(_input!.Value, buffer[..room]);
        if (count > 0)
        {
            _reading.Worked();
            _readErrors = 0;
            Span<byte> data = buffer[..count];
            if (_filter is not null)
                data = data[.._filter.Filter(data)];
            if (!data.IsEmpty)
                _frontend.Receive(data);
            return;
        }

        if (count is -LibcConstants.EINTR or -LibcConstants.EAGAIN)
        {
            _reading.InVain();
            return;
        }

        // A client may come again; there is one input.
        if (count < 0 && _listener is null && ++_readErrors < MaxReadErrors)
        {
            _reading.Refused();
            return;
        }

        EndInput();
    }

    /// <summary>A client is to see no gap in what it reads: it loses its connection instead.</summary>
    private void HangUpIfBroken()
    {
        bool broken;
        lock (_gate)
            (broken, _hangUp) = (_hangUp, false);
        if (broken && _input is not null)
            EndInput();
    }

    private void EndInput()
    {
        _input!.Dispose();
        _input = null;
        if (_listener is null)
            return;
        CloseOutput();
        _connected = false;
        lock (_gate)
            _happened |= CharEvent.Disconnected;
    }

    private void Accept()
    {
        int fd = _calls.Accept(_listener!.Value);
        if (fd < 0)
        {
            if (fd is -LibcConstants.EAGAIN or -LibcConstants.EINTR)
                _accepting.InVain();
            else
                _accepting.Refused();
            return;
        }

        _accepting.Worked();
        var connection = new FileDescriptor(fd);
        CharOutput output;
        try
        {
            output = new CharOutput(connection.Duplicate(), nonBlocking: true, _calls);
        }
        catch (LinuxException)
        {
            // Half a connection is none: the client is told so, and may come again.
            connection.Dispose();
            return;
        }

        _input = connection;
        _reading = default;
        _draining = default;
        lock (_gate)
        {
            _hangUp = false;
            _ring.Clear();
            _output?.Dispose();
            _output = output;
            _stalled = false;
            _happened |= CharEvent.Connected;
            _connected = true;
        }
    }

    private void DrainRing()
    {
        lock (_gate)
        {
            if (DrainOnce())
            {
                _draining.Worked();
                _stalled = false;
                Monitor.PulseAll(_gate);
            }
            else
                _draining.InVain();

            if (_writerWaits && _ring.Count <= RingBytes - WriterRoom)
                ReleaseWriter();
        }
    }

    /// <summary>Writes what the output takes of the ring now; whether that changed anything. Call with the gate held.</summary>
    private bool DrainOnce()
    {
        int before = _ring.Count;
        while (_ring.Count > 0 && _output is not null)
        {
            int length = _ring.Front.Length, written = WriteDirect(_ring.Front, out int error);
            _ring.Discard(written);
            if (error != 0)
            {
                _dropped += length - written;
                _ring.Discard(length - written);
                OnWriteFailed(error);
            }
            else if (written < length)
                break;
        }

        return _ring.Count < before;
    }

    /// <summary>Writes what fits; an output that fails swallows everything. Call with the gate held.</summary>
    private int WriteOrDrop(ReadOnlySpan<byte> data)
    {
        int written = WriteDirect(data, out int error);
        if (error == 0)
            return written;
        _dropped += data.Length - written;
        OnWriteFailed(error);
        return data.Length;
    }

    private int WriteDirect(ReadOnlySpan<byte> data, out int error)
    {
        int done = 0;
        error = 0;
        while (done < data.Length)
        {
            int written = _output!.Write(data[done..]);
            error = Math.Min(written, 0);
            if (written <= 0)
                break;
            done += written;
        }

        return done;
    }

    /// <summary>Call with the gate held.</summary>
    private void OnWriteFailed(int error)
    {
        if (_listener is null && CharOutput.IsPassing(error))
            return;
        CloseOutput();
        // What a client that reads no more has still sent is for the guest.
        if (_listener is null || error == -LibcConstants.EPIPE)
            return;
        _hangUp = true;
        _wake.Signal();
    }

    /// <summary>The other end is gone; with a listener the next connection brings a new one.</summary>
    private void CloseOutput()
    {
        lock (_gate)
        {
            _output?.Dispose();
            _output = null;
            _dropped += _ring.Count;
            _ring.Clear();
            if (_writerWaits)
                ReleaseWriter();
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Call with the gate held.</summary>
    private void ReleaseWriter()
    {
        _writerWaits = false;
        _happened |= CharEvent.Writable;
        _wake.Signal();
    }

    /// <summary>Gives a slow reader a last chance to take what is queued.</summary>
    private void Flush()
    {
        lock (_gate)
        {
            long end = Environment.TickCount64 + FlushInAllMs;
            while (_ring.Count > 0 && _output is not null && Environment.TickCount64 < end && _output.Wait(FlushAtExitMs))
            {
                if (!DrainOnce())
                    Thread.Sleep(1);
            }
        }
    }
}
