namespace KvmSharp.Backends;

/// <summary>
/// A host resource cannot be used as asked: one line for the user that names the resource, the cause and, where there is one, the
/// way out. Thrown when a back end is opened, never on a data path.
/// </summary>
public sealed class BackendException : Exception
{
    public BackendException(string message)
        : base(message)
    {
    }

    public BackendException(string message, Exception cause)
        : base(message, cause)
    {
    }

    /// <summary>The host lacks something, or keeps it from this user; not what was asked for is wrong.</summary>
    public bool IsHostLimit { get; init; }
}
