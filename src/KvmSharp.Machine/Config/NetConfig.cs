using System.Text.Json;
using KvmSharp.Backends.Net;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Machine.Config;

/// <summary>A network interface on a tap: virtio-net, or an e1000, which has of the virtio settings only those of the threads.</summary>
public sealed record NetConfig : VirtioConfig
{
    private const int MaxQueues = 64;

    /// <summary>The kernel default of fs.nr_open.</summary>
    private const int MaxDescriptor = (1 << 20) - 1;

    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio", "e1000"); // in the order of NetModel

    public NetModel Model { get; init; }

    /// <summary>The tap's name; null: the next free kvmsharpN.</summary>
    public string? Tap { get; init; }

    /// <summary>Null: one that depends on the machine's name and the interface's place only.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Open descriptors of a tap that the program inherited, one per queue pair; null: the tap is opened by name.</summary>
    public IReadOnlyList<int>? Descriptors { get; init; }

    /// <summary>Queue pairs.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Bridge that the tap joins; null: none.</summary>
    public string? Bridge { get; init; }

    /// <summary>Null: what the tap has, or the bridge's.</summary>
    public int? Mtu { get; init; }

    /// <summary>Virtio feature bits not to offer.</summary>
    public ulong WithheldFeatures { get; init; }

    /// <summary>The kernel serves the queues where it can.</summary>
    public bool Vhost { get; init; }

    /// <summary>It is an error if it cannot.</summary>
    public bool VhostForce { get; init; }

    internal static MachineOption Option { get; } = new()
    {
        Name = "net", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "tap=NAME|fd=N[:N...][,model=virtio|e1000][,bridge=NAME][,mac=ADDRESS][,queues=N][,mtu=BYTES][,vhost=on[,vhostforce=on]][,FEATURE=off]" + VirtioSettings.ValueName,
        Keys =
        [
            new("tap", OptionKeyKind.Text), s_model, new("bridge", OptionKeyKind.Text), new("mac", OptionKeyKind.Text),
            new("queues", OptionKeyKind.Integer), new("mtu", OptionKeyKind.Integer), new("fd", OptionKeyKind.List), new("vhost", OptionKeyKind.Boolean), new("vhostforce", OptionKeyKind.Boolean), .. NetFeatureKeys.All.Select(f => f.Key), .. CommonKeys,
        ],
        Help = "a network interface, on a tap that exists or is made",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(Read)] },
        Write = (w, c) => w.WriteObjects("net", c.Devices.OfType<NetConfig>(), net => net.Write(w)),
    };

    private static NetConfig Read(OptionValues v)
    {
        var model = (NetModel)(v.Choice(s_model) ?? 0);
        if (model == NetModel.E1000)
            RefuseVirtioKeys(v);
        IReadOnlyList<int>? descriptors = ReadDescriptors(v);
        int queues = v.Integer("queues") ?? descriptors?.Count ?? 1;
        if (queues is < 1 or > MaxQueues)
            throw new ConfigException($"{v.Where}: queues must be between 1 and {MaxQueues}");
        if (descriptors is not null && descriptors.Count != queues)
            throw new ConfigException($"{v.Where}: {descriptors.Count} descriptors are not {queues} queues", "give one descriptor per queue, and leave queues out");
        if (model == NetModel.E1000 && queues > 1)
            throw new ConfigException($"{v.Where}: an e1000 has one queue, not {queues}", "give one descriptor");
        ulong withheld = NetFeatureKeys.ReadWithheld(v);
        if (queues > 1 && (withheld & NetFeatureKeys.ControlQueue) != 0)
            throw new ConfigException($"{v.Where}: several queues need the control queue", "use queues=1, or leave ctrl_vq=off out");
        int? mtu = v.Integer("mtu");
        if (mtu is < 68 or > 65521)
            throw new ConfigException($"{v.Where}: mtu must be between 68 and 65521");
        bool vhostForce = v.Boolean("vhostforce") ?? false;
        bool vhost = v.Boolean("vhost") ?? vhostForce;
        if (vhostForce && !vhost)
            throw new ConfigException($"{v.Where}: vhostforce=on contradicts vhost=off", "leave one of them out");
        return new NetConfig
        {
            Model = model,
            Tap = v.Text("tap") is { Length: > 0 } tap ? tap : null,
            Mac = ReadMac(v),
            Queues = queues,
            Bridge = v.Text("bridge"),
            Mtu = mtu,
            Descriptors = descriptors,
            WithheldFeatures = withheld,
            Vhost = vhost,
            VhostForce = vhostForce,
            Virtio = VirtioSettings.Read(v, VirtioNetOptions.MinQueueSize, VirtioNetOptions.MaxQueueSize),
            Id = v.Text("id"),
        };
    }

    private static void RefuseVirtioKeys(OptionValues v)
    {
        const string Model = "model=e1000";
        foreach (string key in (ReadOnlySpan<string>)["queues", "vhost", "vhostforce"])
            VirtioSettings.Refuse(v, key, Model);
        foreach ((OptionKey key, _) in NetFeatureKeys.All)
            VirtioSettings.Refuse(v, key.Name, Model);
        VirtioSettings.RefuseQueueKeys(v, Model);
    }

    private static IReadOnlyList<int>? ReadDescriptors(OptionValues v)
    {
        IReadOnlyList<int> descriptors = v.Numbers("fd", MaxDescriptor);
        if (descriptors.Count == 0)
            return null;
        foreach (string key in (ReadOnlySpan<string>)["tap", "bridge", "mtu"])
        {
            if (v.Text(key) is not null)
                throw new ConfigException($"{v.Where}: {key} cannot be given together with fd", "whoever opened the descriptor chose the tap and sets it up");
        }

        return descriptors.All(fd => fd > 2) ? descriptors
            : throw new ConfigException($"{v.Where}: fd 0, 1 and 2 are standard input, output and error", "open the tap on 3 or higher");
    }

    private static MacAddress? ReadMac(OptionValues v)
    {
        if (v.Text("mac") is not { } text)
            return null;
        if (!MacAddress.TryParse(text, out MacAddress mac))
            throw new ConfigException($"{v.Where}: mac '{Printable.Line(text)}' is not an address, as 52:54:00:12:34:56");
        return !mac.IsMulticast ? mac : throw new ConfigException($"{v.Where}: mac {mac} is a multicast address", "the second digit must be even, as in 52:54:00:12:34:56");
    }

    private void Write(Utf8JsonWriter writer)
    {
        if (Tap is { } tap)
            writer.WriteString("tap", tap);
        writer.WriteString("model", s_model.Choices[(int)Model]);
        if (Bridge is { } bridge)
            writer.WriteString("bridge", bridge);
        if (Mac is { } mac)
            writer.WriteString("mac", mac.ToString());
        if (Mtu is { } mtu)
            writer.WriteNumber("mtu", mtu);
        if (Descriptors is { } descriptors)
            VirtioSettings.WriteList(writer, "fd", descriptors);
        if (Model == NetModel.Virtio)
            WriteVirtio(writer);
        else
            WriteThreads(writer);
    }

    private void WriteVirtio(Utf8JsonWriter writer)
    {
        writer.WriteNumber("queues", Queues);
        writer.WriteBoolean("vhost", Vhost);
        writer.WriteBoolean("vhostforce", VhostForce);
        NetFeatureKeys.Write(writer, WithheldFeatures);
        WriteCommon(writer);
    }
}
