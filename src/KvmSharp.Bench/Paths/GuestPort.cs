using KvmSharp.Core.Chars;

namespace KvmSharp.Bench.Paths;

/// <summary>The host end of the guest's serial port: what the guest writes is read here, byte by byte, until it is closed.</summary>
internal sealed class GuestPort : ICharBackend
{
    private readonly object _gate = new();
    private readonly Queue<byte> _bytes = new();
    private ICharFrontend? _frontend;
    private bool _closed;

    public void Start(ICharFrontend frontend) => _frontend = frontend;

    public void Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            foreach (byte b in data)
                _bytes.Enqueue(b);
            Monitor.PulseAll(_gate);
        }
    }

    public void OnFrontendReady()
    {
    }

    /// <summary>The next byte; -1 after the last one, once closed.</summary>
    public int ReadByte()
    {
        lock (_gate)
        {
            while (_bytes.Count == 0 && !_closed)
                Monitor.Wait(_gate);
            return _bytes.TryDequeue(out byte b) ? b : -1;
        }
    }

    public void Answer() => _frontend?.Receive([(byte)'\n']);

    /// <summary>Nothing more is coming.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }

    public void Dispose()
    {
    }
}
