using System.Globalization;

namespace KvmSharp.Machine.Config;

/// <summary>The value of one option as it was written, by key. Reading a key converts it; what does not convert is a <see cref="ConfigException"/>.</summary>
/// <param name="where">Stands before error messages: <c>--memory</c> or <c>vm.json:3: memory</c>.</param>
public sealed class OptionValues(string where)
{
    private readonly List<(string Key, string Text)> _entries = [];

    public string Where => where;

    /// <summary>Adds one value; a key is given once, except features.</summary>
    public void Add(OptionKey key, string text)
    {
        if (key.Kind != OptionKeyKind.Features && Find(key.Name) is not null)
            throw new ConfigException($"{where}: {key.Name} is given twice");
        _entries.Add((key.Name, text));
    }

    public string? Text(string key) => Find(key);

    public ulong? Size(string key) => Find(key) is not { } text ? null
        : SizeText.TryParse(text, out ulong bytes) ? bytes
        : throw Bad(key, text, "is not a size, as 4096, 512M or 2G");

    public int? Integer(string key) => Find(key) is not { } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
        : throw Bad(key, text, long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _) ? "is out of range" : "is not a whole number");

    public bool? Boolean(string key) => Find(key) switch
    {
        null => null,
        "on" or "yes" or "true" => true,
        "off" or "no" or "false" => false,
        string text => throw Bad(key, text, "is not on or off"),
    };

    public ushort? Port(string key)
    {
        if (Find(key) is not { } text)
            return null;
        bool hex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ushort.TryParse(hex ? text.AsSpan(2) : text, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            ? port
            : throw Bad(key, text, "is not an I/O port, 0 to 0xffff");
    }

    public TimeSpan? Duration(string key)
    {
        if (Find(key) is not { } text)
            return null;
        (string number, double scale) = text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 0.001)
            : text.EndsWith('s') ? (text[..^1], 1)
            : text.EndsWith('m') ? (text[..^1], 60)
            : (text, 1);
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) && value * scale is >= 0 and <= 86400
            ? TimeSpan.FromSeconds(value * scale)
            : throw Bad(key, text, "is not a time, as 10s, 500ms or 2m, at most a day");
    }

    /// <summary>The index of the choice in the key's list.</summary>
    public int? Choice(OptionKey key)
    {
        if (Find(key.Name) is not { } text)
            return null;
        int index = Array.IndexOf(key.Choices, text);
        return index >= 0 ? index : throw Bad(key.Name, text, $"is not one of {string.Join(", ", key.Choices)}", Suggestion.Closest(text, key.Choices));
    }

    public CharConfig? Char(string key)
    {
        if (Find(key) is not { } text)
            return null;
        return CharConfig.TryParse(text) ?? throw Bad(key, text, "is not one of stdio, file:PATH, pty, unix:PATH, null, none");
    }

    public IReadOnlyList<CpuFeature> Features(string key)
    {
        var features = new List<CpuFeature>();
        foreach ((string name, string text) in _entries)
        {
            if (name != key)
                continue;
            if (text.Length < 2 || text[0] is not ('+' or '-'))
                throw Bad(key, text, "is not a feature with + or - before it, as +avx2");
            features.Add(new CpuFeature(text[1..].ToLowerInvariant(), text[0] == '+'));
        }

        return features;
    }

    /// <summary>The words between colons; empty if the key was not given.</summary>
    public IReadOnlyList<string> List(string key)
    {
        if (Find(key) is not { } text)
            return [];
        string[] words = text.Split(':');
        return words.All(w => w.Length > 0) ? words : throw Bad(key, text, "has an empty part; put single colons between the parts");
    }

    /// <summary>Numbers from 0 to <paramref name="max"/> and ranges, as <c>0-3:6</c>, without repetitions; empty if the key was not given.</summary>
    public IReadOnlyList<int> Numbers(string key, int max)
    {
        if (Find(key) is null)
            return [];
        var numbers = new List<int>();
        var seen = new HashSet<int>();
        foreach (string word in List(key))
        {
            int dash = word.IndexOf('-', StringComparison.Ordinal);
            if (!TryNumber(dash < 0 ? word : word[..dash], max, out int first) || !TryNumber(word[(dash + 1)..], max, out int last) || last < first)
                throw Bad(key, word, $"is not a number or a range up to {max}, as 2 or 0-3");
            for (int number = first; number <= last; number++)
            {
                if (!seen.Add(number))
                    throw Bad(key, word, $"repeats {number}");
                numbers.Add(number);
            }
        }

        return numbers;
    }

    private static bool TryNumber(string text, int max, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= max;

    private string? Find(string key)
    {
        foreach ((string name, string text) in _entries)
        {
            if (name == key)
                return text;
        }

        return null;
    }

    private ConfigException Bad(string key, string text, string problem, string? closest = null)
    {
        string name = where.EndsWith(key, StringComparison.Ordinal) ? "" : $"{key} ";
        return new ConfigException($"{where}: {name}'{Printable.Line(text)}' {problem}", closest is null ? null : $"did you mean {closest}?");
    }
}
