namespace KvmSharp.Machine.Config;

/// <summary>Takes the text of an option's value apart, the same for the command line and for text in a file.</summary>
public static class OptionText
{
    /// <param name="where">Stands before error messages.</param>
    public static OptionValues Parse(OptionSpec option, string text, string where)
    {
        var values = new OptionValues(where);
        switch (option.Syntax)
        {
            case OptionSyntax.Whole:
                values.Add(option.Keys[0], text);
                break;
            case OptionSyntax.Words:
                int space = text.IndexOf(' ', StringComparison.Ordinal);
                values.Add(option.Keys[0], space < 0 ? text : text[..space]);
                if (space >= 0)
                    values.Add(option.Keys[1], text[(space + 1)..]);
                break;
            default:
                ParseList(option, text, values);
                break;
        }

        return values;
    }

    private static void ParseList(OptionSpec option, string text, OptionValues values)
    {
        bool first = true;
        foreach (string item in Split(text))
        {
            int equals = item.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? item : item[..equals];
            OptionKey? key = option.FindKey(name);
            if (key is not null && equals >= 0)
                values.Add(key, item[(equals + 1)..]);
            else if (item.Length > 0 && item[0] is '+' or '-' && FindFeatures(option) is { } features)
                values.Add(features, item);
            else if (key is { Kind: OptionKeyKind.Boolean })
                values.Add(key, "on");
            else if (!(equals > 0 && IsKeyName(name)) && FindUnnamed(option, item, first) is { } unnamed)
                values.Add(unnamed, item);
            else
                throw UnknownKey(option, values.Where, name);
            first = false;
        }
    }

    internal static ConfigException UnknownKey(OptionSpec option, string where, string name)
    {
        IEnumerable<string> names = option.Keys.Select(k => k.Name);
        string? closest = Suggestion.Closest(name, names);
        return new ConfigException(
            $"{where}: unknown key '{Printable.Line(name)}'",
            closest is not null ? $"did you mean {closest}?" : $"it has {string.Join(", ", names)}");
    }

    private static OptionKey? FindFeatures(OptionSpec option) => option.Keys.FirstOrDefault(k => k.Kind == OptionKeyKind.Features);

    /// <summary>The key of a value without one: the first, or wherever the value says itself what it is.</summary>
    private static OptionKey? FindUnnamed(OptionSpec option, string item, bool first)
    {
        if (option.Keys[0].Choices.Contains(item))
            return option.Keys[0];
        OptionKey? character = option.Keys.FirstOrDefault(k => k.Kind == OptionKeyKind.Char);
        return character is not null && CharConfig.TryParse(item) is not null ? character : first ? option.Keys[0] : null;
    }

    private static bool IsKeyName(string text) => text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_');

    private static IEnumerable<string> Split(string text)
    {
        var item = new System.Text.StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != ',')
                item.Append(text[i]);
            else if (i + 1 < text.Length && text[i + 1] == ',')
                item.Append(text[i++]);
            else
            {
                yield return item.ToString();
                item.Clear();
            }
        }

        yield return item.ToString();
    }
}
