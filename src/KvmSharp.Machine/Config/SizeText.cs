using System.Globalization;

namespace KvmSharp.Machine.Config;

/// <summary>Sizes as people write them: <c>4096</c>, <c>512M</c>, <c>1.5G</c>; binary multiples, <c>KiB</c> and <c>kb</c> mean the same as <c>K</c>.</summary>
public static class SizeText
{
    private const string Suffixes = "KMGTP";

    /// <summary>False unless the text is a non-negative size in whole bytes that fits 63 bits.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ulong bytes)
    {
        bytes = 0;
        text = text.Trim();
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes) && bytes <= long.MaxValue;
        if (text.EndsWith("iB", StringComparison.OrdinalIgnoreCase) && text.Length > 2 && char.IsAsciiLetter(text[^3]))
            text = text[..^2];
        else if (text.EndsWith("B", StringComparison.OrdinalIgnoreCase))
            text = text[..^1];
        int shift = 0;
        if (text.Length > 0 && Suffixes.IndexOf(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal) is >= 0 and int index)
        {
            shift = 10 * (index + 1);
            text = text[..^1];
        }

        if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number) || number > long.MaxValue)
            return false;
        decimal scaled = number * (1UL << shift);
        if (scaled > long.MaxValue || scaled != decimal.Truncate(scaled))
            return false;
        bytes = (ulong)scaled;
        return true;
    }

    /// <summary>The shortest exact form: <c>512M</c>, <c>4097</c>.</summary>
    public static string Format(ulong bytes)
    {
        int index = -1;
        while (index < Suffixes.Length - 1 && bytes != 0 && bytes % 1024 == 0)
        {
            bytes /= 1024;
            index++;
        }

        string number = bytes.ToString(CultureInfo.InvariantCulture);
        return index < 0 ? number : number + Suffixes[index];
    }
}
