using KvmSharp.Core.Chars;

namespace KvmSharp.Machine;

/// <summary>
/// Keeps a character backend across resets of the machine: devices come and go with each power cycle, the terminal, socket or
/// file behind them stays. To the device it is the backend, to the backend the one front end it will ever see.
/// </summary>
internal sealed class CharPort(ICharBackend backend) : ICharFrontend, IDisposable
{
    private ICharFrontend? _device;
    private bool _started;

    /// <summary>Room at the device now attached; none while there is no device.</summary>
    public int Capacity => Volatile.Read(ref _device)?.Capacity ?? 0;

    public void Receive(ReadOnlySpan<byte> data) => Volatile.Read(ref _device)?.Receive(data);

    /// <summary>A backend for one device's lifetime. Control thread only.</summary>
    public ICharBackend Connect() => new Connection(this);

    public void Dispose() => backend.Dispose();

    private sealed class Connection(CharPort port) : ICharBackend
    {
        public void Start(ICharFrontend frontend) => port.Attach(frontend);

        public void Write(ReadOnlySpan<byte> data) => port.Backend.Write(data);

        public void OnFrontendReady() => port.Backend.OnFrontendReady();

        public void Dispose() => Volatile.Write(ref port._device, null);
    }

    private ICharBackend Backend => backend;

    private void Attach(ICharFrontend device)
    {
        Volatile.Write(ref _device, device);
        if (_started)
        {
            backend.OnFrontendReady();
            return;
        }

        _started = true;
        backend.Start(this);
    }
}
