using KvmSharp.Backends.Vhost;
using KvmSharp.Core;
using static KvmSharp.Abi.LibcConstants;

namespace KvmSharp.Backends.Net;

/// <summary>
/// Says whether a tap could be opened as asked without making, opening or changing one, and stands in for it on a machine that
/// never runs.
/// </summary>
public sealed class CheckedTap : INetBackend, IVhostSource
{
    private CheckedTap(int queuePairs, int mtu)
    {
        QueuePairs = queuePairs;
        Mtu = mtu;
    }

    public int QueuePairs { get; }

    public int Mtu { get; }

    public NetOffloads SupportedOffloads => NetOffloads.None;

    public bool LinkUp => false;

    public string? Loss => null;

    /// <summary>Throws what <see cref="TapBackend.Open"/> would, as far as that can be known. Closes the descriptors that are given.</summary>
    public static CheckedTap Check(TapOptions options)
    {
        const int UsualMtu = 1500;
        if (options.Descriptors is { } given)
        {
            FileDescriptor[] queues = [.. given];
            try
            {
                _ = TapOpener.Identify(queues);
            }
            finally
            {
                Array.ForEach(queues, queue => queue.Dispose());
            }

            return new CheckedTap(queues.Length, UsualMtu);
        }

        TapOpener.CheckOptions(options);
        using NetInterface interfaces = new();
        TapOpener.CheckBridge(options, interfaces);
        TapOpener.OpenDevice().Dispose();
        UserRights user = UserRights.OfThisThread();
        CheckName(options, interfaces, user);
        return new CheckedTap(options.QueuePairs, options.Mtu ?? UsualMtu);
    }

    public INetQueue OpenQueue(int index) => throw new InvalidOperationException("a checked tap is not open");

    /// <summary>Says whether the kernel would serve it; gives nothing out, since nothing will run.</summary>
    public IReadOnlyList<IVhostBackend> OpenVhost()
    {
        VhostNet.OpenDevice().Dispose();
        return [];
    }

    public bool SetOffloads(NetOffloads offloads) => true;

    public bool SetActiveQueuePairs(int count) => true;

    public void Dispose()
    {
    }

    private static void CheckName(TapOptions options, NetInterface interfaces, UserRights user)
    {
        bool multiQueue = options.QueuePairs > 1;
        if (options.Name is not { } name || interfaces.Index(name, out _) != 0)
        {
            if (!user.MayAdministerNetworks)
                throw TapOpener.Refused(-EPERM, options.Name ?? "kvmsharp0", multiQueue, exists: false, options.QueuePairs);
            return;
        }

        LinkInfo? link = LinkInfo.Find(name);
        int result = link switch
        {
            null => 0,
            { Kind: not "tun" } or { IsTap: false } => -EINVAL,
            _ when multiQueue && !link.IsMultiQueue => -EINVAL,
            { IsInUse: true } => -EBUSY,
            _ when !user.MayAdministerNetworks && !user.MayUse(link) => -EPERM,
            _ => 0,
        };
        if (result != 0)
            throw TapOpener.Refused(result, name, multiQueue && link is { Kind: "tun", IsTap: true }, exists: true, options.QueuePairs);
    }
}
