using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>How the program confines itself before the guest runs.</summary>
/// <param name="IsOn">Null: if the program was started as root or a user is given, and then without the walls that this host does not permit.</param>
/// <param name="User">Whom a program that was started as root becomes; null: the default.</param>
public sealed record SandboxConfig(bool? IsOn = null, string? User = null)
{
    private static readonly OptionKey s_state = new("state", OptionKeyKind.Choice, "off", "on");

    internal static MachineOption Option { get; } = new()
    {
        Name = "sandbox", Group = "Running", Syntax = OptionSyntax.CommaList, ValueName = "on|off[,user=NAME]",
        Keys = [s_state, new("user", OptionKeyKind.Text)],
        Help = "confine the program before the guest runs (default: on for root), as a user that has nothing (default nobody)",
        Apply = (c, v) => c with { Sandbox = Read(v[^1]) },
        Write = (w, c) => c.Sandbox.Write(w),
    };

    private static SandboxConfig Read(OptionValues values)
    {
        var config = new SandboxConfig(values.Choice(s_state) is { } state ? state == 1 : null, values.Text("user"));
        if (config.User is { Length: 0 })
            throw new ConfigException($"{values.Where}: user is empty");
        return config is { IsOn: false, User: not null } ? throw new ConfigException($"{values.Where}: off and user exclude each other") : config;
    }

    private void Write(Utf8JsonWriter writer)
    {
        if (this == new SandboxConfig())
            return;
        writer.WriteStartObject("sandbox");
        if (IsOn is { } on)
            writer.WriteString("state", s_state.Choices[on ? 1 : 0]);
        if (User is not null)
            writer.WriteString("user", User);
        writer.WriteEndObject();
    }
}
