using System.Text.Json;

namespace KvmSharp.Machine.Config;

/// <summary>
/// One thing that can be said about a machine. The same entry makes the command line's <c>--name</c> and the file's <c>"name"</c>,
/// so the two cannot differ.
/// </summary>
public sealed class MachineOption : OptionSpec
{
    /// <summary>Heading in the help text.</summary>
    public required string Group { get; init; }

    public OptionArity Arity { get; init; } = OptionArity.Single;

    /// <summary>Shell completion offers files.</summary>
    public bool IsPath { get; init; }

    /// <summary>Puts what was said, in the order it was said, into the configuration.</summary>
    public required Func<MachineConfig, IReadOnlyList<OptionValues>, MachineConfig> Apply { get; init; }

    /// <summary>Writes the property back as a file would have it; nothing if the machine has none of it.</summary>
    public required Action<Utf8JsonWriter, MachineConfig> Write { get; init; }
}
