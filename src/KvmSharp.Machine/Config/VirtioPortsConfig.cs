using System.Text.Json;
using KvmSharp.Virtio.Devices.Console;

namespace KvmSharp.Machine.Config;

/// <summary>Named ports for programs in the guest, all on one virtio-console device.</summary>
public sealed record VirtioPortsConfig : VirtioConfig
{
    public IReadOnlyList<VirtioPortConfig> Ports { get; init; } = [];

    internal override IEnumerable<CharUse> Chars => Ports.Select(p => new CharUse($"the port {p.Name}", p.Char));

    internal static MachineOption Option { get; } = new()
    {
        Name = "virtio-port", Group = "Devices", Arity = OptionArity.Repeatable, Syntax = OptionSyntax.CommaList,
        ValueName = "name=NAME,unix:PATH|pty|file:PATH|stdio|null[,console=on]" + VirtioSettings.ValueName,
        Keys = [new("name", OptionKeyKind.Text), new("char", OptionKeyKind.Char), new("console", OptionKeyKind.Boolean), .. CommonKeys],
        Help = "a port for a program in the guest, /dev/virtio-ports/NAME",
        Apply = (c, v) => Read(v) is { Ports.Count: > 0 } ports ? c with { Devices = [.. c.Devices, ports] } : c,
        Write = WriteAll,
    };

    private static VirtioPortsConfig Read(IReadOnlyList<OptionValues> all)
    {
        var ports = new List<VirtioPortConfig>();
        foreach (OptionValues v in all)
        {
            VirtioPortConfig port = VirtioPortConfig.Read(v);
            if (ports.Any(p => p.Name == port.Name))
                throw new ConfigException($"{v.Where}: two ports have the name '{port.Name}'");
            if (v != all[0] && CommonKeys.FirstOrDefault(k => v.Text(k.Name) is not null) is { } key)
                throw new ConfigException($"{v.Where}: {port.Name}: {key.Name} is for the device, which all ports share", $"say {key.Name} at the first port");
            ports.Add(port);
        }

        ports.RemoveAll(p => p.Char.Kind == CharKind.None);
        if (ports.Count > VirtioConsoleDevice.MaxPortId)
            throw new ConfigException($"{all[0].Where}: there can be at most {VirtioConsoleDevice.MaxPortId} ports");
        return new VirtioPortsConfig { Ports = ports, Virtio = VirtioSettings.Read(all[0], VirtioConsoleOptions.MinQueueSize, VirtioConsoleOptions.MaxQueueSize), Id = all[0].Text("id") };
    }

    private static void WriteAll(Utf8JsonWriter writer, MachineConfig config)
    {
        if (config.Devices.OfType<VirtioPortsConfig>().FirstOrDefault() is not { } device)
            return;
        writer.WriteObjects("virtio-port", device.Ports, port =>
        {
            port.Write(writer);
            if (ReferenceEquals(port, device.Ports[0]))
                device.WriteCommon(writer);
        });
    }
}
