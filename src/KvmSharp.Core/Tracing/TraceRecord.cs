namespace KvmSharp.Core.Tracing;

/// <summary>One event as its thread leaves it behind; <see cref="TraceKind"/> says what the numbers are.</summary>
internal struct TraceRecord
{
    /// <summary>In <see cref="Detail"/> of an exit: the guest wrote. The other bits are the width in bytes.</summary>
    public const byte WriteFlag = 0x80;

    /// <summary>When it happened or began, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long Time;

    public ulong First;
    public ulong Second;
    public ulong Third;

    /// <summary>What happened.</summary>
    public TraceName Name;

    /// <summary>To which device, queue or image.</summary>
    public TraceName Subject;

    public TraceKind Kind;
    public byte Detail;
}
