using System.Text.Json;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Machine.Config;

/// <summary>A network interface whose packets another process carries, over a vhost-user socket.</summary>
public sealed record VhostUserNetConfig : NetInterfaceConfig
{
    /// <summary>The keys of <c>--net</c> that ask for it, and that say who listens.</summary>
    internal const string Key = "vhost-user", ServerKey = "server";

    /// <summary>Where the other process listens, or we do.</summary>
    public required string Socket { get; init; }

    /// <summary>We listen and the other process connects; the guest starts when it has.</summary>
    public bool Server { get; init; }

    internal static VhostUserNetConfig Read(OptionValues v)
    {
        string socket = VhostUserSocketKey.Read(v, Key, "--net vhost-user=/run/switch.sock");
        VhostUserSocketKey.Refuse(v, Key, NetConfig.TapKeys, "the process behind the socket has the other end: say it there");
        int queues = ReadQueues(v, unsaid: 1);
        return new VhostUserNetConfig
        {
            Socket = socket,
            Server = v.Boolean(ServerKey) ?? false,
            Mac = ReadMac(v),
            Queues = queues,
            Mtu = ReadMtu(v),
            WithheldFeatures = ReadWithheld(v, queues),
            Virtio = VirtioSettings.Read(v, VirtioNetOptions.MinQueueSize, VirtioNetOptions.MaxQueueSize),
            Id = v.Text("id"),
        };
    }

    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteString(Key, Socket);
        writer.WriteBoolean(ServerKey, Server);
        WriteInterface(writer);
        WriteQueues(writer);
    }
}
