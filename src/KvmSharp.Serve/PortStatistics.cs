namespace KvmSharp.Serve;

/// <summary>What has passed through a port since it was made, whichever front ends it had.</summary>
/// <param name="Sent">By the driver; those too short or too long are lost.</param>
/// <param name="Received">By the driver; those that it had no buffers for are lost.</param>
public sealed record PortStatistics(TrafficCount Sent, TrafficCount Received)
{
    /// <summary>For logs.</summary>
    public override string ToString() =>
        $"its driver sent {Sent.Frames} frames and {Sent.Lost} bad ones, received {Received.Frames} and had no buffers for {Received.Lost}";
}
