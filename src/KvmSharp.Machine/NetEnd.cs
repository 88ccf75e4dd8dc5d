using KvmSharp.Backends;
using KvmSharp.Backends.Net;
using KvmSharp.Backends.Vhost;

namespace KvmSharp.Machine;

/// <summary>A network interface's host end: its back end, and what serves its queues in the kernel if that was asked for and can be.</summary>
internal sealed class NetEnd : IDisposable
{
    private NetEnd(INetBackend backend) => Backend = backend;

    public INetBackend Backend { get; }

    /// <summary>One per queue pair, or none: packets pass through this program.</summary>
    public IReadOnlyList<IVhostBackend> Vhost { get; private set; } = [];

    /// <param name="backend">Taken over, in either case.</param>
    /// <param name="vhost">Have the kernel serve it.</param>
    /// <param name="onFallBack">Told why the kernel cannot; null: then it is an error. Throws <see cref="BackendException"/>.</param>
    public static NetEnd Create(INetBackend backend, bool vhost, Action<string>? onFallBack)
    {
        NetEnd end = new(backend);
        if (!vhost)
            return end;
        try
        {
            end.Vhost = backend is IVhostSource source ? source.OpenVhost() : throw new BackendException("the kernel serves only taps: leave vhost out");
        }
        catch (BackendException error) when (onFallBack is not null)
        {
            onFallBack(error.Message);
        }
        catch
        {
            end.Dispose();
            throw;
        }

        return end;
    }

    public void Dispose()
    {
        foreach (IVhostBackend vhost in Vhost)
            vhost.Dispose();
        Backend.Dispose();
    }
}
