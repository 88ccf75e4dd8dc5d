namespace KvmSharp.Bench.VhostUser;

/// <summary>What a <see cref="BlkLoad"/> asks of a disk.</summary>
public sealed record BlkLoadOptions
{
    public const int MaxDepth = 128, MaxSeconds = 600;

    /// <summary>Of vhost-user back ends: a disk each, all driven by one thread in turn.</summary>
    public required IReadOnlyList<string> Sockets { get; init; }

    /// <summary>Write, where the disk is OVERWRITTEN; else read.</summary>
    public bool Write { get; init; }

    /// <summary>Requests in flight, 1 to <see cref="MaxDepth"/>.</summary>
    public int Depth { get; init; } = 1;

    /// <summary>Counted, after a fifth of it that is not.</summary>
    public int Seconds { get; init; } = 3;
}
