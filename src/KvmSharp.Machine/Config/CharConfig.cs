namespace KvmSharp.Machine.Config;

/// <summary>The host end of a character device.</summary>
/// <param name="Path">The file or socket; null for the kinds that have none.</param>
public sealed record CharConfig(CharKind Kind, string? Path = null)
{
    /// <summary>The form used on the command line and in files: <c>stdio</c>, <c>file:PATH</c>, <c>unix:PATH</c>.</summary>
    public override string ToString()
    {
        string kind = Kind switch
        {
            CharKind.None => "none",
            CharKind.Null => "null",
            CharKind.Stdio => "stdio",
            CharKind.File => "file",
            CharKind.Pty => "pty",
            _ => "unix",
        };
        return Path is null ? kind : $"{kind}:{Path}";
    }
}
