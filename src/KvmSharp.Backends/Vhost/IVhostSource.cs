namespace KvmSharp.Backends.Vhost;

/// <summary>A host end whose queues the kernel can serve by itself.</summary>
public interface IVhostSource
{
    /// <summary>
    /// One back end per queue pair, vring 0 receives and vring 1 transmits; the caller disposes them before this. Throws
    /// <see cref="BackendException"/> with one line for the user.
    /// </summary>
    IReadOnlyList<IVhostBackend> OpenVhost();
}
