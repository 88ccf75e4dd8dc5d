using KvmSharp.Abi;
using KvmSharp.Core;
using KvmSharp.Core.Chars;

namespace KvmSharp.Backends.Char;

/// <summary>
/// Output to a file, which is created or truncated; no input. Writing happens on the vCPU's thread: a regular file does not block, anything
/// else that does for longer than <see cref="CharPump.MaxStallMs"/>, or that is full, loses the bytes.
/// </summary>
public sealed class FileBackend : ICharBackend
{
    private readonly Lock _gate = new();
    private readonly CharOutput _output;
    private long _dropped;

    /// <summary>Throws <see cref="BackendException"/> if the file cannot be written.</summary>
    public FileBackend(string path)
        : this(path, CharCalls.Host)
    {
    }

    internal FileBackend(string path, CharCalls calls)
    {
        try
        {
            _output = new CharOutput(
                FileDescriptor.Open(path, LibcConstants.O_WRONLY | LibcConstants.O_CREAT | LibcConstants.O_TRUNC | LibcConstants.O_NOCTTY | LibcConstants.O_NONBLOCK, 0x1B4),
                nonBlocking: true, calls);
        }
        catch (LinuxException e)
        {
            throw new BackendException($"cannot write {path}: {CharErrors.Text(e)}", e);
        }
    }

    /// <summary>Bytes that the file did not take.</summary>
    public long DroppedBytes => Interlocked.Read(ref _dropped);

    public void Start(ICharFrontend frontend)
    {
    }

    public void Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            bool waited = false;
            while (!data.IsEmpty)
            {
                int written = _output.Write(data);
                if (written > 0)
                {
                    data = data[written..];
                    continue;
                }

                if (written < 0 || waited || !_output.Wait(CharPump.MaxStallMs))
                    break;
                waited = true;
            }

            Interlocked.Add(ref _dropped, data.Length);
        }
    }

    public void OnFrontendReady()
    {
    }

    public void Dispose() => _output.Dispose();
}
