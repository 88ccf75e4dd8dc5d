namespace KvmSharp.Machine.Config;

/// <summary>Makes foreign text fit into a one-line message.</summary>
public static class Printable
{
    /// <summary>At most 80 characters, control characters replaced.</summary>
    public static string Line(string text) =>
        string.Concat((text.Length > 80 ? text[..77] + "..." : text).Select(c => char.IsControl(c) ? '?' : c));
}
