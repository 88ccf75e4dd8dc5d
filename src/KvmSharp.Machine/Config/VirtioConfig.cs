namespace KvmSharp.Machine.Config;

/// <summary>What all virtio devices have.</summary>
public abstract record VirtioConfig : DeviceConfig
{
    /// <summary>Number of the I/O thread that serves the device; devices with the same number share it. Null: threads of its own.</summary>
    public int? IoThread { get; init; }

    /// <summary>The option's keys that all virtio devices have.</summary>
    internal static IReadOnlyList<OptionKey> CommonKeys { get; } = [new("iothread", OptionKeyKind.Integer), new("id", OptionKeyKind.Text)];

    internal static int? ReadIoThread(OptionValues values)
    {
        int? number = values.Integer("iothread");
        return number is not (< 0 or > 999) ? number : throw new ConfigException($"{values.Where}: iothread must be between 0 and 999");
    }

    private protected void WriteCommon(System.Text.Json.Utf8JsonWriter writer)
    {
        if (IoThread is { } number)
            writer.WriteNumber("iothread", number);
        if (Id is { } id)
            writer.WriteString("id", id);
    }
}
