namespace KvmSharp.TestKit;

/// <summary>Unix sockets as /proc/net/unix shows them, without a connection, which whoever listens would take for a peer.</summary>
public static class ListeningSockets
{
    /// <summary>__SO_ACCEPTCON, include/linux/net.h: a socket may have its name and not listen yet.</summary>
    private const string AcceptsConnections = " 00010000 ";

    public static bool Contain(string path) =>
        File.ReadLines("/proc/net/unix").Any(line => line.EndsWith(" " + path, StringComparison.Ordinal) && line.Contains(AcceptsConnections, StringComparison.Ordinal));
}
