using System.Text.Json;
using KvmSharp.Backends.Net;

namespace KvmSharp.Machine.Config;

/// <summary>A network interface, whatever its host end is.</summary>
public abstract record NetInterfaceConfig : VirtioConfig
{
    private const int MaxQueues = 64;

    /// <summary>Null: one that depends on the machine's name and the interface's place only.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Queue pairs.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Null: what the host end has.</summary>
    public int? Mtu { get; init; }

    /// <summary>Virtio feature bits not to offer.</summary>
    public ulong WithheldFeatures { get; init; }

    private protected static int ReadQueues(OptionValues v, int unsaid) => (v.Integer("queues") ?? unsaid) is var queues and >= 1 and <= MaxQueues
        ? queues
        : throw new ConfigException($"{v.Where}: queues must be between 1 and {MaxQueues}");

    private protected static ulong ReadWithheld(OptionValues v, int queues)
    {
        ulong withheld = NetFeatureKeys.ReadWithheld(v);
        if (queues > 1 && (withheld & NetFeatureKeys.ControlQueue) != 0)
            throw new ConfigException($"{v.Where}: several queues need the control queue", "use queues=1, or leave ctrl_vq=off out");
        return withheld;
    }

    private protected static int? ReadMtu(OptionValues v) => v.Integer("mtu") is var mtu and not (< 68 or > 65521)
        ? mtu
        : throw new ConfigException($"{v.Where}: mtu must be between 68 and 65521");

    private protected static MacAddress? ReadMac(OptionValues v)
    {
        if (v.Text("mac") is not { } text)
            return null;
        if (!MacAddress.TryParse(text, out MacAddress mac))
            throw new ConfigException($"{v.Where}: mac '{Printable.Line(text)}' is not an address, as 52:54:00:12:34:56");
        return !mac.IsMulticast ? mac : throw new ConfigException($"{v.Where}: mac {mac} is a multicast address", "the second digit must be even, as in 52:54:00:12:34:56");
    }

    private protected void WriteInterface(Utf8JsonWriter writer)
    {
        if (Mac is { } mac)
            writer.WriteString("mac", mac.ToString());
        if (Mtu is { } mtu)
            writer.WriteNumber("mtu", mtu);
    }

    private protected void WriteQueues(Utf8JsonWriter writer)
    {
        writer.WriteNumber("queues", Queues);
        NetFeatureKeys.Write(writer, WithheldFeatures);
        WriteCommon(writer);
    }
}
