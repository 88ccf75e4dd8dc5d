using System.Globalization;
using System.Text.Json;
using KvmSharp.Virtio.Devices.Rng;

namespace KvmSharp.Machine.Config;

/// <summary>An entropy device, virtio-rng.</summary>
public sealed record RngConfig : VirtioConfig
{
    /// <summary>Bytes the guest may draw per <see cref="Period"/>; 0: as many as it wants.</summary>
    public ulong MaxBytes { get; init; }

    public TimeSpan Period { get; init; } = TimeSpan.FromSeconds(1);

    internal static MachineOption Option { get; } = new()
    {
        Name = "rng", Group = "Devices", Arity = OptionArity.Optional, Syntax = OptionSyntax.CommaList,
        ValueName = "[max-bytes=SIZE][,period=TIME]" + VirtioSettings.ValueName,
        Keys = [new("max-bytes", OptionKeyKind.Size), new("period", OptionKeyKind.Duration), .. CommonKeys],
        Help = "an entropy device, at most so many bytes per period (default 1s)",
        Apply = (c, v) => c with { Devices = [.. c.Devices, Read(v[^1])] },
        Write = (w, c) =>
        {
            if (c.Devices.OfType<RngConfig>().FirstOrDefault() is { } rng)
                rng.Write(w);
        },
    };

    private static RngConfig Read(OptionValues values)
    {
        TimeSpan period = values.Duration("period") ?? TimeSpan.FromSeconds(1);
        return period >= TimeSpan.FromMilliseconds(1)
            ? new RngConfig { MaxBytes = values.Size("max-bytes") ?? 0, Period = period, Virtio = VirtioSettings.Read(values, VirtioRngOptions.MinQueueSize, VirtioRngOptions.MaxQueueSize), Id = values.Text("id") }
            : throw new ConfigException($"{values.Where}: period must be at least 1ms");
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("rng");
        writer.WriteString("max-bytes", SizeText.Format(MaxBytes));
        writer.WriteString("period", Period.TotalMilliseconds.ToString("0.###", CultureInfo.InvariantCulture) + "ms");
        WriteCommon(writer);
        writer.WriteEndObject();
    }
}
