namespace KvmSharp.TestKit.Fakes;

/// <summary>A clock that stands still until told to advance. Timestamps are nanoseconds.</summary>
public sealed class FakeClock(DateTimeOffset start) : TimeProvider
{
    private DateTimeOffset _now = start;
    private long _nanoseconds;

    public override long TimestampFrequency => 1_000_000_000;

    public override DateTimeOffset GetUtcNow() => _now;

    public override long GetTimestamp() => _nanoseconds;

    public void Advance(TimeSpan by)
    {
        _now += by;
        _nanoseconds += by.Ticks * 100;
    }
}
