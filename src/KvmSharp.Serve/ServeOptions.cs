namespace KvmSharp.Serve;

/// <summary>What all ports of one process share.</summary>
public sealed record ServeOptions
{
    /// <summary>Most I/O threads.</summary>
    public const int MaxIoThreads = 64;

    /// <summary>I/O threads, 1 to <see cref="MaxIoThreads"/>; queues are spread over them.</summary>
    public int IoThreads { get; init; } = 1;

    /// <summary>I/O threads never sleep while a queue is there.</summary>
    public bool Poll { get; init; }
}
