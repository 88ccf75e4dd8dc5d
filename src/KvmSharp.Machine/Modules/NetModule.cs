using KvmSharp.Backends.Net;
using KvmSharp.Core;
using KvmSharp.Machine.Config;
using KvmSharp.Virtio.Devices.Net;
using Microsoft.Extensions.Logging;

namespace KvmSharp.Machine.Modules;

/// <summary>Network interfaces.</summary>
internal static class NetModule
{
    public static void Attach(BoardContext board, NetConfig config)
    {
        int index = board.Config.IndexOf(config);
        INetBackend tap = board.HostEnds.Get(config, () => board.HostEnds.OpenTap(Options(config)));
        var options = new VirtioNetOptions
        {
            Name = config.Id ?? $"net{index}",
            Mac = config.Mac ?? MacAddress.Derive(board.Config.Name, index),
            WithheldFeatures = config.WithheldFeatures,
            Logger = board.Loggers.CreateLogger(config.Id ?? $"net{index}"),
        };
        if (config.Virtio.QueueSize is { } size)
            options = options with { QueueSize = (ushort)size };
        board.Virtio.Attach(config.Virtio, new VirtioNetDevice(options, new BorrowedNetBackend(tap), board.IoThreads.Get(config.Virtio, config.Queues)));
    }

    private static TapOptions Options(NetConfig config) => new()
    {
        Name = config.Tap,
        QueuePairs = config.Queues,
        Bridge = config.Bridge,
        Mtu = config.Mtu,
        Descriptors = config.Descriptors is { } numbers ? Inherit(numbers) : null,
    };

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
