namespace KvmSharp.Sandbox;

/// <summary>The program cannot be confined as asked: one line for the user.</summary>
public sealed class SandboxException : Exception
{
    public SandboxException(string message)
        : base(message)
    {
    }

    public SandboxException(string message, Exception cause)
        : base(message, cause)
    {
    }

    /// <summary>What was asked for is wrong; otherwise the host lacks something or keeps it from this user.</summary>
    public bool IsBadInput { get; init; }
}
