namespace KvmSharp.Machine.Config;

/// <summary>The key that names the socket of a process which serves a device, and the keys that do not go with it.</summary>
internal static class VhostUserSocketKey
{
    /// <summary>Throws <see cref="ConfigException"/> if it is missing.</summary>
    public static string Read(OptionValues v, string key, string example) => v.Text(key) is { Length: > 0 } path ? path
        : throw new ConfigException($"{v.Where}: {key} is {(v.Text(key) is null ? "missing" : "empty")}", $"say where the other process listens: {example}");

    /// <summary>Throws <see cref="ConfigException"/> if one of these is given.</summary>
    public static void Refuse(OptionValues v, string key, IReadOnlyList<string> others, string why)
    {
        foreach (string other in others)
        {
            if (v.Text(other) is not null)
                throw new ConfigException($"{v.Where}: {other} cannot be given together with {key}", why);
        }
    }
}
