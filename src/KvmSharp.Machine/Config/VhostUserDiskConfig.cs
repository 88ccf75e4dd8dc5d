using System.Text.Json;
using KvmSharp.Virtio.Devices.Block;

namespace KvmSharp.Machine.Config;

/// <summary>A disk that another process serves over a vhost-user socket; what it holds is that process's business.</summary>
public sealed record VhostUserDiskConfig : VirtioConfig
{
    /// <summary>The key of <c>--disk</c> that asks for it.</summary>
    internal const string Key = "vhost-user";

    /// <summary>Where the other process listens.</summary>
    public required string Socket { get; init; }

    /// <summary>Null: one per vCPU, at most <see cref="DiskConfig.DefaultQueueLimit"/>; never more than the other process serves.</summary>
    public int? Queues { get; init; }

    internal static VhostUserDiskConfig Read(OptionValues v)
    {
        string socket = VhostUserSocketKey.Read(v, Key, "--disk vhost-user=/run/disk.sock");
        VhostUserSocketKey.Refuse(v, Key, DiskConfig.ImageKeys, "the process behind the socket has the image: say it there");

        return new VhostUserDiskConfig
        {
            Socket = socket,
            Queues = DiskConfig.ReadQueues(v),
            Virtio = VirtioSettings.Read(v, VirtioBlockOptions.MinQueueSize, VirtioBlockOptions.MaxQueueSize),
            Id = v.Text("id"),
        };
    }

    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteString(Key, Socket);
        if (Queues is { } queues)
            writer.WriteNumber("queues", queues);
        WriteCommon(writer);
    }
}
