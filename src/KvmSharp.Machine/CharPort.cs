using KvmSharp.Core.Chars;

namespace KvmSharp.Machine;

/// <summary>
/// Keeps a character backend across resets of the machine: devices come and go with each power cycle, the terminal, socket or
/// file behind them stays. To the device it is the backend, to the backend the one front end it will ever see.
/// </summary>
internal sealed class CharPort(ICharBackend backend) : ICharFrontend, IDisposable
{
    // Held while the device takes input, so that one that was disconnected is not entered any more. Outside the device's own locks;
    // the backend is never called under it.
    private readonly Lock _gate = new();
    private ICharFrontend? _device;
    private bool _started;

    /// <summary>Room at the device now attached; none while there is no device.</summary>
    public int Capacity
    {
        get
        {
            lock (_gate)
                return _device?.Capacity ?? 0;
        }
    }

    public void Receive(ReadOnlySpan<byte> data)
    {
        lock (_gate)
            _device?.Receive(data);
    }

    public void OnHostEvent(CharEvent happened)
    {
        lock (_gate)
            _device?.OnHostEvent(happened);
    }

    /// <summary>
    /// A backend for one device's lifetime. Dispose it before the device: no input reaches the device afterwards. Control thread only.
    /// </summary>
    public ICharBackend Connect() => new Connection(this);

    public void Dispose() => backend.Dispose();

    private sealed class Connection(CharPort port) : ICharBackend
    {
        public void Start(ICharFrontend frontend) => port.Attach(frontend);

        public void Write(ReadOnlySpan<byte> data) => port.Backend.Write(data);

        public int TryWrite(ReadOnlySpan<byte> data) => port.Backend.TryWrite(data);

        public bool IsConnected => port.Backend.IsConnected;

        public TerminalSize Size => port.Backend.Size;

        public void OnFrontendReady() => port.Backend.OnFrontendReady();

        public void Dispose() => port.Detach();
    }

    private ICharBackend Backend => backend;

    private void Attach(ICharFrontend device)
    {
        lock (_gate)
            _device = device;
        if (_started)
        {
            backend.OnFrontendReady();
            return;
        }

        _started = true;
        backend.Start(this);
    }

    private void Detach()
    {
        lock (_gate)
            _device = null;
    }
}
