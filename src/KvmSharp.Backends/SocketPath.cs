using System.Text;
using KvmSharp.Core.HostPaths;

namespace KvmSharp.Backends;

/// <summary>Where a unix socket may be.</summary>
public static class SocketPath
{
    /// <summary>Throws <see cref="BackendException"/> if no socket's address can hold this path.</summary>
    /// <param name="purpose">What cannot be done then, as "listen on".</param>
    public static void Check(string path, string purpose)
    {
        if (Encoding.UTF8.GetByteCount(path) is 0 or > OwnPaths.MaxSocketPathBytes)
            throw new BackendException($"cannot {purpose} {path}: a socket path has 1 to {OwnPaths.MaxSocketPathBytes} bytes");
    }
}
