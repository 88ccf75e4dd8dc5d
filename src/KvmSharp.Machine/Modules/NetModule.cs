using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Core.Events;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Network interfaces of virtio.</summary>
internal static class NetModule
{
    public static void Attach(BoardContext board, NetConfig config)
    {
        string name = NameOf(board, config);
        ILogger logger = board.Loggers.CreateLogger(name);
        NetEnd end = board.HostEnds.Get(config, () => Open(board, config, logger));
        VirtioNetOptions options = OptionsOf(board, config, logger);
        // With vhost our threads only pass on what is rare.
        bool vhost = end.Vhost.Count > 0;
        IReadOnlyList<EventLoop> loops = board.IoThreads.Get(config.Virtio, vhost ? 1 : config.Queues);
        board.Virtio.Attach(config.Virtio, new VirtioNetDevice(options, new BorrowedNetBackend(end.Backend), loops, vhost ? end.Vhost : null));
    }

    public static string NameOf(BoardContext board, NetInterfaceConfig config) => config.Id ?? $"net{board.Config.IndexOf(config)}";

    public static MacAddress MacOf(BoardContext board, NetInterfaceConfig config) => config.Mac ?? MacAddress.Derive(board.Config.Name, board.Config.IndexOf(config));

    public static VirtioNetOptions OptionsOf(BoardContext board, NetInterfaceConfig config, ILogger logger)
    {
        var options = new VirtioNetOptions { Name = NameOf(board, config), Mac = MacOf(board, config), WithheldFeatures = config.WithheldFeatures, Logger = logger };
        return config.Virtio.QueueSize is { } size ? options with { QueueSize = (ushort)size } : options;
    }

    public static TapOptions TapOf(NetConfig config) => new()
    {
        Name = config.Tap,
        QueuePairs = config.Queues,
        Bridge = config.Bridge,
        Mtu = config.Mtu,
        Descriptors = config.Descriptors is { } numbers ? Inherit(numbers) : null,
    };

    private static NetEnd Open(BoardContext board, NetConfig config, ILogger logger) => NetEnd.Create(
        board.HostEnds.Host.OpenTap(TapOf(config)),
        config.Vhost,
        config.VhostForce ? null : reason => logger.LogWarning("no vhost, packets take the way through this program: {Reason}", reason));

    private static List<FileDescriptor> Inherit(IReadOnlyList<int> numbers)
    {
        List<FileDescriptor> taken = [];
        foreach (int number in numbers)
        {
            if (FileDescriptor.TryInherit(number) is { } descriptor)
            {
                taken.Add(descriptor);
                continue;
            }

            taken.ForEach(d => d.Dispose());
            throw new ConfigException($"--net: fd {number} is not open", "the program must be started with that descriptor open and not close-on-exec");
        }

        return taken;
    }
}
