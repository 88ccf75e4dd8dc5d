namespace KvmSharp.Machine.Config;

/// <summary>An option with a value: its name and how the text of its value is taken apart.</summary>
public class OptionSpec
{
    /// <summary>Without the dashes.</summary>
    public required string Name { get; init; }

    public required string Help { get; init; }

    /// <summary>Placeholder in the help text, e.g. <c>SIZE[,hugepages=on]</c>; empty for flags.</summary>
    public string ValueName { get; init; } = "";

    public OptionSyntax Syntax { get; init; } = OptionSyntax.Whole;

    public IReadOnlyList<OptionKey> Keys { get; init; } = [];

    public OptionKey? FindKey(string name)
    {
        foreach (OptionKey key in Keys)
        {
            if (key.Name == name)
                return key;
        }

        return null;
    }
}
