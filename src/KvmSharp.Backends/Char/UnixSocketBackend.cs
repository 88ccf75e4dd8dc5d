using KvmSharp.Core.Chars;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Backends.Char;

/// <summary>
/// Listens on a unix stream socket and serves one client at a time; the next one may connect when it leaves. Output without a client is
/// dropped.
/// </summary>
public sealed class UnixSocketBackend : ICharBackend
{
    private readonly UnixListener _listener;
    private readonly CharPump _pump;

    /// <summary>Throws <see cref="BackendException"/> if the path is taken by something that is not a stale socket, or cannot be bound.</summary>
    /// <param name="path">Where it listens.</param>
    /// <param name="paths">Who removes the socket at the end; null: this program itself.</param>
    public UnixSocketBackend(string path, IHostPaths? paths = null)
    {
        _listener = new UnixListener(path, paths);
        _pump = new CharPump("char-unix", null, null, _listener.File);
    }

    public string Path => _listener.Path;

    /// <summary>Bytes of output that nobody took.</summary>
    public long DroppedBytes => _pump.DroppedBytes;

    public bool IsConnected => _pump.IsConnected;

    public void Start(ICharFrontend frontend) => _pump.Start(frontend);

    public void Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    public int TryWrite(ReadOnlySpan<byte> data) => _pump.TryWrite(data);

    public void OnFrontendReady() => _pump.OnFrontendReady();

    public void Dispose()
    {
        _pump.Dispose();
        _listener.Dispose();
    }
}
