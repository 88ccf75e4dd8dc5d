using KvmSharp.Core.Buses;
using KvmSharp.Core.Chars;

namespace KvmSharp.Devices.Chipset;

/// <summary>
/// The debug console of Bochs and QEMU: bytes written to the port are output, reads give 0xE9, which is how a guest finds it.
/// A wider write is its bytes, lowest first. Host input is discarded.
/// </summary>
public sealed class DebugConsole : IPioDevice, ICharFrontend
{
    public const ushort DefaultPort = 0xE9;

    private const byte Presence = 0xE9;

    private readonly ICharBackend? _backend;
    private Stream? _stream;

    /// <param name="backend">Started here; stays owned by the caller.</param>
    public DebugConsole(ICharBackend backend)
    {
        _backend = backend;
        backend.Start(this);
    }

    /// <param name="stream">Written on vCPU threads, unbuffered here; output ends with its first I/O error. Stays owned by the caller.</param>
    public DebugConsole(Stream stream) => _stream = stream;

    /// <inheritdoc/>
    public int Capacity => SerialState.FifoSize;

    /// <inheritdoc/>
    public void Receive(ReadOnlySpan<byte> data)
    {
        // An output-only device.
    }

    /// <inheritdoc/>
    public BusStatus In(ushort offset, Span<byte> data)
    {
        data.Fill(Presence);
        return BusStatus.Ok;
    }

    /// <inheritdoc/>
    public BusStatus Out(ushort offset, ReadOnlySpan<byte> data)
    {
        if (_backend is not null)
            _backend.Write(data);
        else
            WriteStream(data);
        return BusStatus.Ok;
    }

    private void WriteStream(ReadOnlySpan<byte> data)
    {
        try
        {
            _stream?.Write(data);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or NotSupportedException)
        {
            // The host end is gone; the guest must not notice, nor should every further byte throw.
            _stream = null;
        }
    }
}
