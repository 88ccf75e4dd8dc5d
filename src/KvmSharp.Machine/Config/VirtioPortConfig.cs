using System.Text;
using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>One port of <see cref="VirtioPortsConfig"/>.</summary>
/// <param name="Name">What the guest finds it by, as /dev/virtio-ports/NAME.</param>
/// <param name="Char">Where it leads.</param>
/// <param name="IsConsole">A terminal in the guest (hvc), not a plain character device.</param>
public sealed record VirtioPortConfig(string Name, CharConfig Char, bool IsConsole = false)
{
    /// <summary>Bytes; what fits into the control message that names the port.</summary>
    public const int MaxNameBytes = 64;

    internal static VirtioPortConfig Read(OptionValues v)
    {
        string name = v.Text("name") is { Length: > 0 } given ? given : throw new ConfigException($"{v.Where}: name is missing", "for example --virtio-port name=org.example.agent,unix:/run/agent.sock");
        if (name.Any(c => c is <= ' ' or > '~' or '/') || name is "." or "..")
            throw new ConfigException($"{v.Where}: name '{Printable.Line(name)}' may only have printable ASCII characters without blanks and slashes");
        if (Encoding.UTF8.GetByteCount(name) > MaxNameBytes)
            throw new ConfigException($"{v.Where}: name '{Printable.Line(name)}' is longer than {MaxNameBytes} bytes");
        CharConfig where = v.Char("char") ?? throw new ConfigException($"{v.Where}: {name} leads nowhere", "say where: unix:PATH, pty, file:PATH or stdio");
        return new VirtioPortConfig(name, where, v.Boolean("console") ?? false);
    }

    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteString("name", Name);
        writer.WriteString("char", Char.ToString());
        writer.WriteBoolean("console", IsConsole);
    }
}
