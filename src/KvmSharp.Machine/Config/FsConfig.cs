using System.Text;
using System.Text.Json;
using KvmSharp.Virtio.Devices.FileSystem;

namespace KvmSharp.Machine.Config;

/// <summary>A folder of the host, virtio-fs, that another process serves over a vhost-user socket.</summary>
public sealed record FsConfig : VirtioConfig
{
    private const string TagKey = "tag", SocketKey = "vhost-user";

    /// <summary>By which the guest mounts it.</summary>
    public required string Tag { get; init; }

    /// <summary>Where the other process listens.</summary>
    public required string Socket { get; init; }

    /// <summary>Request queues.</summary>
    public int Queues { get; init; } = 1;

    internal static MachineOption Option { get; } = new()
    {
        Name = "fs", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "tag=NAME,vhost-user=SOCKET[,queues=N]" + VirtioSettings.ValueName,
        Keys = [new(TagKey, OptionKeyKind.Text), new(SocketKey, OptionKeyKind.Text), new("queues", OptionKeyKind.Integer), .. CommonKeys],
        Help = "a folder of the host (virtio-fs), from another process (virtiofsd)",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(Read)] },
        Write = (w, c) => w.WriteObjects("fs", c.Devices.OfType<FsConfig>(), fs => fs.Write(w)),
    };

    private static FsConfig Read(OptionValues v)
    {
        const string Example = "--fs tag=home,vhost-user=/run/home.sock";
        string tag = v.Text(TagKey) is { Length: > 0 } given ? given
            : throw new ConfigException($"{v.Where}: {TagKey} is {(v.Text(TagKey) is null ? "missing" : "empty")}", $"the guest mounts it by this name: {Example}");
        if (Encoding.UTF8.GetByteCount(tag) > VirtioFsOptions.MaxTagBytes || tag.Contains('\0', StringComparison.Ordinal))
            throw new ConfigException($"{v.Where}: {TagKey} '{Printable.Line(tag)}' must have at most {VirtioFsOptions.MaxTagBytes} bytes and no NUL");
        return new FsConfig
        {
            Tag = tag,
            Socket = VhostUserSocketKey.Read(v, SocketKey, Example),
            Queues = v.Integer("queues") is var queues and not (< 1 or > VirtioFsOptions.QueueLimit)
                ? queues ?? 1
                : throw new ConfigException($"{v.Where}: queues must be between 1 and {VirtioFsOptions.QueueLimit}"),
            Virtio = VirtioSettings.Read(v, VirtioFsOptions.MinQueueSize, VirtioFsOptions.MaxQueueSize),
            Id = v.Text("id"),
        };
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteString(TagKey, Tag);
        writer.WriteString(SocketKey, Socket);
        writer.WriteNumber("queues", Queues);
        WriteCommon(writer);
    }
}
