using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using static KvmSharp.Abi.NetConstants;

namespace KvmSharp.Backends.Net;

/// <summary>A (multiqueue) tap interface of the host. Thread-safe; queues have their own rules.</summary>
public sealed unsafe class TapBackend : INetBackend, IVhostSource
{
    /// <summary>Bytes of virtio_net_hdr_v1 in front of every packet.</summary>
    public const int HeaderLength = 12;

    private readonly FileDescriptor[] _queues;
    private readonly bool[] _open;
    private readonly bool[] _attached;
    private readonly NetInterface _interfaces;
    private readonly Lock _gate = new();
    private bool _disposed;

    private TapBackend(string name, FileDescriptor[] queues, NetInterface interfaces)
    {
        Name = name;
        _queues = queues;
        _interfaces = interfaces;
        _open = new bool[queues.Length];
        _attached = new bool[queues.Length];
        Array.Fill(_attached, true);
        SupportedOffloads = ProbeOffloads();
    }

    /// <summary>The interface's name on the host.</summary>
    public string Name { get; }

    public int QueuePairs => _queues.Length;

    public int Mtu => _interfaces.Mtu(Name, out int mtu) == 0 ? mtu : 1500;

    public NetOffloads SupportedOffloads { get; }

    /// <summary>Also false when another interface has the name by now.</summary>
    public bool LinkUp => IsThere && _interfaces.Flags(Name, out short flags) == 0 && (flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);

    public string? Loss => IsThere ? null : $"tap {Name} is gone";

    /// <summary>
    /// Opens, and where asked makes, a tap; sets its header size, MTU, bridge and link. Throws <see cref="BackendException"/> with one
    /// line for the user; a tap that was made is gone again then. The tap is in the network namespace of the calling thread.
    /// </summary>
    public static TapBackend Open(TapOptions options)
    {
        NetInterface interfaces = new();
        FileDescriptor[] queues = [];
        try
        {
            string name;
            if (options.Descriptors is { } given)
            {
                queues = [.. given];
                name = TapOpener.Adopt(queues);
            }
            else
            {
                name = TapOpener.OpenByName(options, interfaces, out queues);
                TapOpener.Configure(name, options, interfaces);
            }

            return new TapBackend(name, queues, interfaces);
        }
        catch
        {
            Array.ForEach(queues, queue => queue.Dispose());
            interfaces.Dispose();
            throw;
        }
    }

    public INetQueue OpenQueue(int index)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_open[index])
                throw new InvalidOperationException($"queue pair {index} of {Name} is open");
            _open[index] = true;
            return new TapQueue(this, index, _queues[index]);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<IVhostBackend> OpenVhost()
    {
        List<IVhostBackend> opened = [];
        try
        {
            foreach (FileDescriptor queue in _queues)
                opened.Add(VhostNet.Open(queue));
        }
        catch
        {
            opened.ForEach(vhost => vhost.Dispose());
            throw;
        }

        return opened;
    }

    public bool SetOffloads(NetOffloads offloads) => TrySetOffloads(offloads & SupportedOffloads);

    public bool SetActiveQueuePairs(int count)
    {
        bool all = true;
        lock (_gate)
        {
            // A tap without IFF_MULTI_QUEUE has one queue, which is always there.
            for (int i = 0; i < _queues.Length && _queues.Length > 1; i++)
            {
                bool attach = i < count;
                if (attach == _attached[i])
                    continue;
                ifreq request = default;
                request.ifr_flags = (short)(attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE);
                if (Libc.ioctl(_queues[i].Value, TUNSETQUEUE, (nint)(&request)) == 0)
                    _attached[i] = attach;
                else
                    all = false;
            }
        }

        return all;
    }

    /// <summary>Closes the tap; one that we made disappears. Its queues are disposed before.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _disposed = true;
            Array.ForEach(_queues, queue => queue.Dispose());
            _interfaces.Dispose();
        }
    }

    internal void CloseQueue(int index)
    {
        lock (_gate)
            _open[index] = false;
    }

    private bool IsThere
    {
        get
        {
            ifreq request = default;
            return Libc.ioctl(_queues[0].Value, TUNGETIFF, (nint)(&request)) == 0;
        }
    }

    private NetOffloads ProbeOffloads()
    {
        const NetOffloads Basic = NetOffloads.Checksum | NetOffloads.Tso4 | NetOffloads.Tso6 | NetOffloads.Ecn;
        const NetOffloads WithUso = Basic | NetOffloads.Uso4 | NetOffloads.Uso6;
        NetOffloads supported = TrySetOffloads(WithUso) ? WithUso : TrySetOffloads(Basic) ? Basic : NetOffloads.None;
        TrySetOffloads(NetOffloads.None);
        return supported;
    }

    private bool TrySetOffloads(NetOffloads offloads) =>
        // NetOffloads has the values of TUN_F_*.
        Libc.ioctl(_queues[0].Value, TUNSETOFFLOAD, (nint)offloads) == 0;
}
