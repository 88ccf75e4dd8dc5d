namespace KvmSharp.Machine.Boot;

/// <summary>The guest cannot be booted as asked. The message is one line for the user: what is wrong and what to do.</summary>
public sealed class BootException : Exception
{
    public BootException(string message)
        : base(message)
    {
    }

    public BootException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
