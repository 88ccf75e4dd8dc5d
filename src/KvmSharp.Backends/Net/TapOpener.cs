using System.Runtime.InteropServices;
using KvmSharp.Abi;
using KvmSharp.Core;
using static KvmSharp.Abi.LibcConstants;
using static KvmSharp.Abi.NetConstants;

namespace KvmSharp.Backends.Net;

/// <summary>Gets hold of taps and says in one line what is in the way.</summary>
internal static unsafe class TapOpener
{
    private const string Device = "/dev/net/tun";
    private const int MaxQueuePairs = 256;

    /// <summary>What is wrong whatever the host has.</summary>
    internal static void CheckOptions(TapOptions options)
    {
        if (options.QueuePairs is < 1 or > MaxQueuePairs)
            throw new BackendException($"a tap has 1 to {MaxQueuePairs} queue pairs, not {options.QueuePairs}");
        if (options.Name is { } name && NetInterface.NameProblem(name) is { } problem)
            throw new BackendException($"tap name '{name}' {problem}");
        if (options.Bridge is { } bridge && NetInterface.NameProblem(bridge) is { } bridgeProblem)
            throw new BackendException($"bridge name '{bridge}' {bridgeProblem}");
    }

    /// <summary>That the bridge is there and is one, before anything is made for it.</summary>
    internal static void CheckBridge(TapOptions options, NetInterface interfaces)
    {
        if (options.Bridge is not { } bridge)
            return;
        if (interfaces.Index(bridge, out _) != 0)
            throw NoBridge(bridge);
        if (LinkInfo.Find(bridge) is { Kind: not "bridge" })
            throw NotABridge(bridge);
    }

    /// <summary>Opens all queues of a tap by name, making it if it is not there. The queues opened so far are in <paramref name="queues"/> even if it throws.</summary>
    public static string OpenByName(TapOptions options, NetInterface interfaces, out FileDescriptor[] queues)
    {
        queues = [];
        CheckOptions(options);
        CheckBridge(options, interfaces);
        bool exists = options.Name is not null && interfaces.Index(options.Name, out _) == 0;
        // The kernel lets anybody who may open a multiqueue tap take part of its packets.
        if (exists && LinkInfo.Find(options.Name!) is { IsMultiQueue: true, IsInUse: true })
            throw Refused(-EBUSY, options.Name!, multiQueue: true, exists, options.QueuePairs);
        string name = options.Name ?? "kvmsharp%d";
        bool multiQueue = options.QueuePairs > 1;
        List<FileDescriptor> opened = [];
        try
        {
            for (int i = 0; i < options.QueuePairs; i++)
            {
                FileDescriptor queue = OpenDevice();
                opened.Add(queue);
                name = Attach(queue, name, multiQueue, exists, options.QueuePairs);
                Prepare(queue, name);
            }
        }
        catch
        {
            opened.ForEach(queue => queue.Dispose());
            throw;
        }

        queues = [.. opened];
        return name;
    }

    /// <summary>Takes over descriptors that somebody else opened; the tap's name.</summary>
    public static string Adopt(FileDescriptor[] queues)
    {
        string name = Identify(queues);
        foreach (FileDescriptor queue in queues)
        {
            Prepare(queue, name);
            int status = Libc.fcntl(queue.Value, F_GETFL, 0);
            _ = Libc.fcntl(queue.Value, F_SETFL, status | O_NONBLOCK);
        }

        return name;
    }

    /// <summary>The tap's name; throws unless all are queues of one tap that can be used as it is.</summary>
    public static string Identify(FileDescriptor[] queues)
    {
        if (queues.Length == 0)
            throw new BackendException("a tap given by descriptor needs at least one");
        string? name = null;
        foreach (FileDescriptor queue in queues)
        {
            ifreq request;
            if (Libc.ioctl(queue.Value, TUNGETIFF, (nint)(&request)) != 0)
                throw new BackendException($"descriptor {queue.Value} is not an open tap: pass one on which TUNSETIFF was done");
            ushort flags = (ushort)request.ifr_flags;
            string found = NetInterface.Name(request);
            if ((flags & IFF_TAP) == 0)
                throw new BackendException($"descriptor {queue.Value} ({found}) is a tun, not a tap: make it with IFF_TAP");
            if ((flags & IFF_VNET_HDR) == 0 || (flags & IFF_NO_PI) == 0)
                throw new BackendException($"tap {found} of descriptor {queue.Value} lacks the flags IFF_VNET_HDR and IFF_NO_PI: make it with both");
            if (name is not null && name != found)
                throw new BackendException($"the descriptors belong to different taps, {name} and {found}");
            name = found;
        }

        return name!;
    }

    /// <summary>MTU, bridge, link.</summary>
    public static void Configure(string name, TapOptions options, NetInterface interfaces)
    {
        int? mtu = options.Mtu;
        // Before it joins: a bridge shrinks its MTU to its smallest port's.
        if (mtu is null && options.Bridge is not null && interfaces.Mtu(options.Bridge, out int bridgeMtu) == 0)
            mtu = bridgeMtu;
        if (mtu is { } wanted && (interfaces.Mtu(name, out int current) != 0 || current != wanted))
        {
            int result = interfaces.SetMtu(name, wanted);
            if (result != 0)
                throw new BackendException($"cannot set the MTU of tap {name} to {wanted}: {Text(result)}; use 68 to 65521");
        }

        if (options.Bridge is { } bridge)
            JoinBridge(name, bridge, interfaces);
        int up = interfaces.SetUp(name);
        if (up == 0)
            return;
        throw new BackendException(up == -EPERM
            ? $"tap {name} is down and only root may bring it up: run 'ip link set {name} up' before"
            : $"cannot bring tap {name} up: {Text(up)}");
    }

    internal static FileDescriptor OpenDevice()
    {
        try
        {
            return FileDescriptor.Open(Device, O_RDWR | O_NONBLOCK);
        }
        catch (LinuxException error)
        {
            throw new BackendException(error.Errno switch
            {
                ENOENT or ENODEV or ENXIO => $"there is no {Device}: load the driver with 'modprobe tun'",
                EACCES or EPERM => $"no permission on {Device}: run as root, or allow it with 'chmod 666 {Device}'",
                _ => error.Message,
            }, error) { IsHostLimit = true };
        }
    }

    private static string Attach(FileDescriptor queue, string name, bool multiQueue, bool exists, int queuePairs)
    {
        int result = TrySetInterface(queue, name, multiQueue, out string attached);
        // A tap that was made multiqueue wants that said even for one queue.
        if (result == -EINVAL && exists && !multiQueue)
            result = TrySetInterface(queue, name, multiQueue: true, out attached);
        if (result == 0)
            return attached;
        throw Refused(result, name.Replace("%d", "0", StringComparison.Ordinal), multiQueue, exists, queuePairs);
    }

    /// <summary>What TUNSETIFF's error means.</summary>
    internal static BackendException Refused(int result, string name, bool multiQueue, bool exists, int queuePairs) => new(result switch
    {
        -EPERM when exists => $"tap {name} belongs to another user: run as its owner or as root, or use another name",
        -EPERM => $"no permission to make tap {name}: run as root, or have root make it with 'ip tuntap add {name} mode tap vnet_hdr{(multiQueue ? " multi_queue" : "")} user $USER'",
        -EBUSY => $"tap {name} is in use by another process: stop it, or use another name",
        -EINVAL when exists && multiQueue => $"interface {name} is not a multiqueue tap: make it with 'ip tuntap add {name} mode tap vnet_hdr multi_queue', or use queues=1",
        -EINVAL when exists => $"interface {name} exists and is not a tap: use another name",
        -E2BIG => $"tap {name} has no room for {queuePairs} queue pairs: use fewer",
        _ => $"cannot open tap {name}: {Text(result)}",
    })
    {
        IsHostLimit = result == -EPERM && !exists,
    };

    private static int TrySetInterface(FileDescriptor queue, string name, bool multiQueue, out string attached)
    {
        ifreq request = NetInterface.Request(name);
        request.ifr_flags = unchecked((short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiQueue ? IFF_MULTI_QUEUE : 0)));
        int result = Libc.ioctl(queue.Value, TUNSETIFF, (nint)(&request)) == 0 ? 0 : -Marshal.GetLastPInvokeError();
        attached = NetInterface.Name(request);
        return result;
    }

    private static void Prepare(FileDescriptor queue, string name)
    {
        int headerLength = TapBackend.HeaderLength;
        if (Libc.ioctl(queue.Value, TUNSETVNETHDRSZ, (nint)(&headerLength)) != 0)
            throw new BackendException($"tap {name} refuses headers of {headerLength} bytes: {Text(-Marshal.GetLastPInvokeError())}");
    }

    private static void JoinBridge(string name, string bridge, NetInterface interfaces)
    {
        if (interfaces.Index(bridge, out _) != 0)
            throw NoBridge(bridge);
        int result = interfaces.Index(name, out int index);
        if (result == 0)
            result = interfaces.AddToBridge(bridge, index);
        // EBUSY: a tap of the user's that is in a bridge already; that is the user's choice.
        if (result is 0 or -EBUSY)
            return;
        throw new BackendException(result switch
        {
            -EPERM => $"no permission to add tap {name} to bridge {bridge}: run as root, or have root run 'ip link set {name} master {bridge}'",
            -EOPNOTSUPP or -ENOTTY or -EINVAL => NotABridge(bridge).Message,
            _ => $"cannot add tap {name} to bridge {bridge}: {Text(result)}",
        });
    }

    internal static BackendException NoBridge(string bridge) =>
        new($"bridge {bridge} does not exist: make it with 'ip link add {bridge} type bridge' and 'ip link set {bridge} up'");

    internal static BackendException NotABridge(string bridge) => new($"interface {bridge} is not a bridge");

    private static string Text(int negativeErrno) => Marshal.GetPInvokeErrorMessage(-negativeErrno);
}
