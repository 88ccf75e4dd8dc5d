using System.Text.Json;
using KvmSharp.Virtio.Devices.Console;

namespace KvmSharp.Machine.Config;

/// <summary>A console, virtio-console: hvc0 in a Linux guest.</summary>
public sealed record ConsoleConfig : VirtioConfig
{
    private static readonly OptionKey s_model = new("model", OptionKeyKind.Choice, "virtio");

    /// <summary>Where it leads.</summary>
    public CharConfig Char { get; init; } = new(CharKind.Stdio);

    internal override IEnumerable<CharUse> Chars => [new("the console", Char)];

    internal static MachineOption Option { get; } = new()
    {
        Name = "console", Group = "Devices", Arity = OptionArity.Optional, Syntax = OptionSyntax.CommaList,
        ValueName = "[virtio][,stdio|file:PATH|pty|unix:PATH|null|none]" + VirtioSettings.ValueName,
        Keys = [s_model, new("char", OptionKeyKind.Char), .. CommonKeys],
        Help = "a virtio console, hvc0 in Linux (default stdio, which COM1 then has no more)",
        Apply = (c, v) => Read(v[^1]) is { } console ? c with { Devices = [.. c.Devices, console] } : c,
        Write = (w, c) =>
        {
            if (c.Devices.OfType<ConsoleConfig>().FirstOrDefault() is { } console)
                console.Write(w);
        },
    };

    private static ConsoleConfig? Read(OptionValues v)
    {
        _ = v.Choice(s_model);
        var console = new ConsoleConfig { Char = v.Char("char") ?? new CharConfig(CharKind.Stdio), Virtio = VirtioSettings.Read(v, VirtioConsoleOptions.MinQueueSize, VirtioConsoleOptions.MaxQueueSize), Id = v.Text("id") };
        return console.Char.Kind == CharKind.None ? null : console;
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("console");
        writer.WriteString("model", s_model.Choices[0]);
        writer.WriteString("char", Char.ToString());
        WriteCommon(writer);
        writer.WriteEndObject();
    }
}
