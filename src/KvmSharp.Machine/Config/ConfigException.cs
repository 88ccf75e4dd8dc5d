namespace KvmSharp.Machine.Config;

/// <summary>The configuration asks for something that cannot be. The message is one line that says what and, where it helps, what to do.</summary>
public sealed class ConfigException : Exception
{
    public ConfigException(string message)
        : base(message)
    {
    }

    /// <param name="hint">What the user could do, without a trailing period; shown on a line of its own.</param>
    public ConfigException(string message, string? hint)
        : base(message) => Hint = hint;

    public string? Hint { get; }
}
