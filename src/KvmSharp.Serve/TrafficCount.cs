namespace KvmSharp.Serve;

/// <summary>What passed in one direction of a port.</summary>
/// <param name="Frames">That arrived.</param>
/// <param name="Bytes">Of them, without check sums and headers of virtio.</param>
/// <param name="Lost">Frames that came to nothing.</param>
public readonly record struct TrafficCount(long Frames, long Bytes, long Lost);
