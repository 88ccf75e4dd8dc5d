namespace KvmSharp.Core.HostPaths;

/// <summary>
/// What the program does by path long after its start. All of it is announced at the start, because a confined program has no paths any more and has to
/// leave it to another process. Thread-safe.
/// </summary>
public interface IHostPaths
{
    /// <summary>Keeps a file that the program has just made: disposing removes it, if it is still the same one. Throws <see cref="LinuxException"/>.</summary>
    IDisposable Keep(string path);

    /// <summary>
    /// A way to connect to a unix stream socket, now and again later; the descriptor blocks. It throws <see cref="LinuxException"/> when nobody listens.
    /// </summary>
    Func<FileDescriptor> Connector(string path);
}
