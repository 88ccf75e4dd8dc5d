namespace KvmSharp.Machine.Config;

/// <summary>The host end of a character device.</summary>
/// <param name="Path">The file or socket; null for the kinds that have none.</param>
public sealed record CharConfig(CharKind Kind, string? Path = null)
{
    // In the order of CharKind.
    private static readonly string[] s_kinds = ["none", "null", "stdio", "file", "pty", "unix"];

    /// <summary>The form used on the command line and in files: <c>stdio</c>, <c>file:PATH</c>, <c>unix:PATH</c>.</summary>
    public override string ToString() => Path is null ? s_kinds[(int)Kind] : $"{s_kinds[(int)Kind]}:{Path}";

    /// <summary>Null if the text does not begin with a kind.</summary>
    internal static CharConfig? TryParse(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        int kind = Array.IndexOf(s_kinds, colon < 0 ? text : text[..colon]);
        return kind < 0 ? null : new CharConfig((CharKind)kind, colon < 0 ? null : text[(colon + 1)..]);
    }
}
