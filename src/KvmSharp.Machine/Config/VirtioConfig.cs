using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>A virtio device.</summary>
public abstract record VirtioConfig : DeviceConfig
{
    public VirtioSettings Virtio { get; init; } = new();

    /// <summary>The option's keys that all virtio devices have.</summary>
    internal static IReadOnlyList<OptionKey> CommonKeys { get; } = [.. VirtioSettings.Keys, new("id", OptionKeyKind.Text)];

    private protected void WriteCommon(Utf8JsonWriter writer)
    {
        Virtio.WriteQueues(writer);
        WriteThreads(writer);
    }

    /// <summary>What is left of it where the device is of another model.</summary>
    private protected void WriteThreads(Utf8JsonWriter writer)
    {
        Virtio.WriteThreads(writer);
        if (Id is { } id)
            writer.WriteString("id", id);
    }
}
