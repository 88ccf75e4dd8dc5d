using System.Text.Json;
using KvmSharp.Backends.Net;

namespace KvmSharp.Machine.Config;

/// <summary>A network interface, virtio-net on a tap.</summary>
public sealed record NetConfig : VirtioConfig
{
    private const int MaxQueues = 64;

    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio");

    /// <summary>The tap's name; null: the next free kvmsharpN.</summary>
    public string? Tap { get; init; }

    /// <summary>Null: one that depends on the machine's name and the interface's place only.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Queue pairs.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Bridge that the tap joins; null: none.</summary>
    public string? Bridge { get; init; }

    /// <summary>Null: what the tap has, or the bridge's.</summary>
    public int? Mtu { get; init; }

    internal static MachineOption Option { get; } = new()
    {
        Name = "net", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "tap=NAME[,bridge=NAME][,mac=ADDRESS][,queues=N][,mtu=BYTES][,iothread=N]",
        Keys =
        [
            new("tap", OptionKeyKind.Text), s_model, new("bridge", OptionKeyKind.Text), new("mac", OptionKeyKind.Text),
            new("queues", OptionKeyKind.Integer), new("mtu", OptionKeyKind.Integer), .. CommonKeys,
        ],
        Help = "a network interface, on a tap that exists or is made",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(Read)] },
        Write = WriteAll,
    };

    private static NetConfig Read(OptionValues v)
    {
        _ = v.Choice(s_model);
        int queues = v.Integer("queues") ?? 1;
        if (queues is < 1 or > MaxQueues)
            throw new ConfigException($"{v.Where}: queues must be between 1 and {MaxQueues}");
        int? mtu = v.Integer("mtu");
        if (mtu is < 68 or > 65521)
            throw new ConfigException($"{v.Where}: mtu must be between 68 and 65521");
        return new NetConfig
        {
            Tap = v.Text("tap") is { Length: > 0 } tap ? tap : null,
            Mac = ReadMac(v),
            Queues = queues,
            Bridge = v.Text("bridge"),
            Mtu = mtu,
            IoThread = ReadIoThread(v),
            Id = v.Text("id"),
        };
    }

    private static MacAddress? ReadMac(OptionValues v)
    {
        if (v.Text("mac") is not { } text)
            return null;
        if (!MacAddress.TryParse(text, out MacAddress mac))
            throw new ConfigException($"{v.Where}: mac '{Printable.Line(text)}' is not an address, as 52:54:00:12:34:56");
        return !mac.IsMulticast ? mac : throw new ConfigException($"{v.Where}: mac {mac} is a multicast address", "the second digit must be even, as in 52:54:00:12:34:56");
    }

    private static void WriteAll(Utf8JsonWriter writer, MachineConfig config)
    {
        if (!config.Devices.OfType<NetConfig>().Any())
            return;
        writer.WriteStartArray("net");
        foreach (NetConfig net in config.Devices.OfType<NetConfig>())
            net.Write(writer);
        writer.WriteEndArray();
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        if (Tap is { } tap)
            writer.WriteString("tap", tap);
        writer.WriteString("model", s_model.Choices[0]);
        if (Bridge is { } bridge)
            writer.WriteString("bridge", bridge);
        if (Mac is { } mac)
            writer.WriteString("mac", mac.ToString());
        writer.WriteNumber("queues", Queues);
        if (Mtu is { } mtu)
            writer.WriteNumber("mtu", mtu);
        WriteCommon(writer);
        writer.WriteEndObject();
    }
}
