using System.Text.Json;
using KvmSharp.Virtio.Devices.Net;

namespace KvmSharp.Machine.Config;

/// <summary>A network interface on a tap: virtio-net, or an e1000, which has of the virtio settings only those of the threads.</summary>
public sealed record NetConfig : NetInterfaceConfig
{
    /// <summary>The kernel default of fs.nr_open.</summary>
    private const int MaxDescriptor = (1 << 20) - 1;

    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio", "e1000"); // in the order of NetModel

    public NetModel Model { get; init; }

    /// <summary>The tap's name; null: the next free kvmsharpN.</summary>
    public string? Tap { get; init; }

    /// <summary>Open descriptors of a tap that the program inherited, one per queue pair; null: the tap is opened by name.</summary>
    public IReadOnlyList<int>? Descriptors { get; init; }

    /// <summary>Bridge that the tap joins; null: none.</summary>
    public string? Bridge { get; init; }

    /// <summary>The kernel serves the queues where it can.</summary>
    public bool Vhost { get; init; }

    /// <summary>It is an error if it cannot.</summary>
    public bool VhostForce { get; init; }

    /// <summary>An e1000's pin rises by a resampling irqfd where the host has them (KVM_CAP_IRQFD_RESAMPLE). False, or it has none: by KVM_IRQ_LINE.</summary>
    public bool PinIrqFd { get; init; }

    internal static MachineOption Option { get; } = new()
    {
        Name = "net", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "tap=NAME|fd=N[:N...]|vhost-user=SOCKET[,server=on][,model=virtio|e1000][,bridge=NAME][,mac=ADDRESS][,queues=N][,mtu=BYTES][,vhost=on[,vhostforce=on]][,FEATURE=off]" + VirtioSettings.ValueName,
        Keys =
        [
            new("tap", OptionKeyKind.Text), s_model, new("bridge", OptionKeyKind.Text), new("mac", OptionKeyKind.Text),
            new("queues", OptionKeyKind.Integer), new("mtu", OptionKeyKind.Integer), new("fd", OptionKeyKind.List), new(VhostUserNetConfig.Key, OptionKeyKind.Text), new(VhostUserNetConfig.ServerKey, OptionKeyKind.Boolean),
            new("vhost", OptionKeyKind.Boolean), new("vhostforce", OptionKeyKind.Boolean), .. NetFeatureKeys.All.Select(f => f.Key), .. CommonKeys,
        ],
        Help = "a network interface, on a tap that exists or is made or on another process",
        Apply = (c, v) => c with { Devices = [.. c.Devices, .. v.Select(v => v.Text(VhostUserNetConfig.Key) is null ? (DeviceConfig)Read(v) : VhostUserNetConfig.Read(v))] },
        Write = (w, c) => w.WriteObjects("net", c.Devices.OfType<NetInterfaceConfig>(), net => WriteEither(w, net)),
    };

    /// <summary>Keys that are about a tap.</summary>
    internal static IReadOnlyList<string> TapKeys { get; } = ["tap", "fd", "model", "bridge", "vhost", "vhostforce"];

    private static void WriteEither(Utf8JsonWriter writer, NetInterfaceConfig net)
    {
        if (net is NetConfig tap)
            tap.Write(writer);
        else
            ((VhostUserNetConfig)net).Write(writer);
    }

    private static NetConfig Read(OptionValues v)
    {
        if (v.Boolean(VhostUserNetConfig.ServerKey) is not null)
            throw new ConfigException($"{v.Where}: {VhostUserNetConfig.ServerKey} is for {VhostUserNetConfig.Key}", "leave it out, or say whose socket it is");
        var model = (NetModel)(v.Choice(s_model) ?? 0);
        if (model == NetModel.E1000)
            RefuseVirtioKeys(v);
        IReadOnlyList<int>? descriptors = ReadDescriptors(v);
        int queues = ReadQueues(v, descriptors?.Count ?? 1);
        if (descriptors is not null && descriptors.Count != queues)
            throw new ConfigException($"{v.Where}: {descriptors.Count} descriptors are not {queues} queues", "give one descriptor per queue, and leave queues out");
        if (model == NetModel.E1000 && queues > 1)
            throw new ConfigException($"{v.Where}: an e1000 has one queue, not {queues}", "give one descriptor");
        ulong withheld = ReadWithheld(v, queues);
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
            Mtu = ReadMtu(v),
            Descriptors = descriptors,
            WithheldFeatures = withheld,
            Vhost = vhost,
            VhostForce = vhostForce,
            PinIrqFd = model == NetModel.E1000 && (v.Boolean(VirtioSettings.IrqFdKey) ?? false),
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
        VirtioSettings.RefuseQueueKeys(v, Model, except: VirtioSettings.IrqFdKey);
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

    private void Write(Utf8JsonWriter writer)
    {
        if (Tap is { } tap)
            writer.WriteString("tap", tap);
        writer.WriteString("model", s_model.Choices[(int)Model]);
        if (Bridge is { } bridge)
            writer.WriteString("bridge", bridge);
        WriteInterface(writer);
        if (Descriptors is { } descriptors)
            VirtioSettings.WriteList(writer, "fd", descriptors);
        if (Model == NetModel.Virtio)
        {
            WriteVirtio(writer);
            return;
        }

        writer.WriteBoolean(VirtioSettings.IrqFdKey, PinIrqFd);
        WriteThreads(writer);
    }

    private void WriteVirtio(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("vhost", Vhost);
        writer.WriteBoolean("vhostforce", VhostForce);
        WriteQueues(writer);
    }
}
