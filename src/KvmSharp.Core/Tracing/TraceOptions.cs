using Microsoft.Extensions.Logging;

namespace KvmSharp.Core.Tracing;

/// <summary>What a <see cref="TraceSession"/> writes, and where.</summary>
public sealed record TraceOptions
{
    /// <summary>256 MiB: about two million events.</summary>
    public const ulong DefaultLimitBytes = 256 << 20;

    /// <summary>The file; created, or replaced.</summary>
    public required string Path { get; init; }

    /// <summary>The file's length at which no more events are taken.</summary>
    public ulong LimitBytes { get; init; } = DefaultLimitBytes;

    /// <summary>Whom the trace is of.</summary>
    public required string ProcessName { get; init; }

    /// <summary>Takes a warning about lost events.</summary>
    public required ILogger Logger { get; init; }
}
