namespace KvmSharp.Fuzz.Targets;

/// <summary>A clock that a script moves and any thread may read.</summary>
internal sealed class FuzzClock : TimeProvider
{
    private static readonly long s_start = new DateTimeOffset(2024, 2, 29, 23, 59, 50, TimeSpan.Zero).Ticks;

    // A guest may run for years, not for ever: a script starts over.
    private long _elapsedTicks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => new(s_start + Volatile.Read(ref _elapsedTicks), TimeSpan.Zero);

    public override long GetTimestamp() => Volatile.Read(ref _elapsedTicks);

    internal void Advance(long ticks) => Interlocked.Add(ref _elapsedTicks, ticks);

    internal void Restart() => Volatile.Write(ref _elapsedTicks, 0);
}
