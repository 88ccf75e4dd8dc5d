using System.Buffers;
using System.Diagnostics;
using System.Text.Json;

namespace KvmSharp.Core.Tracing;

/// <summary>
/// Turns records into the JSON of the Trace Event Format (its object form), which ui.perfetto.dev and chrome://tracing read. Times are
/// microseconds since <paramref name="start"/>. One thread.
/// </summary>
/// <param name="start">In ticks of <see cref="Stopwatch"/>.</param>
internal sealed class TraceJson(long start, string processName) : IDisposable
{
    private static readonly double s_nanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly ArrayBufferWriter<byte> _buffer = new(256 * 1024);
    private readonly int _process = Environment.ProcessId;
    private Utf8JsonWriter? _json;

    /// <summary>Bytes written and not taken.</summary>
    public int Length => _buffer.WrittenCount + (int)(_json?.BytesPending ?? 0);

    private Utf8JsonWriter Json => _json ??= Open();

    /// <summary>
    /// All that was written since the last call, and behind it what makes the file whole for now: its length is <paramref name="tail"/>. The next part begins
    /// where that does.
    /// </summary>
    public ReadOnlySpan<byte> Take(long lost, out int tail)
    {
        Json.Flush();
        int length = _buffer.WrittenCount;
        WriteTail(lost);
        tail = _buffer.WrittenCount - length;
        ReadOnlySpan<byte> part = _buffer.WrittenSpan;

        // Clears nothing: the span stays as it is until the next event is written.
        _buffer.ResetWrittenCount();
        return part;
    }

    public void WriteThread(int thread, string name) => WriteMetadata("thread_name"u8, thread, name);

    /// <summary>So many records of a thread are missing before this moment.</summary>
    public void WriteLoss(int thread, long events, long time)
    {
        BeginEvent("i"u8, "trace"u8, thread, time);
        Json.WriteString("s"u8, "t"u8);
        Json.WriteString("name"u8, "lost"u8);
        Json.WriteStartObject("args"u8);
        Json.WriteNumber("events"u8, events);
        EndEvent();
    }

    /// <summary>The file has reached its limit: no record comes after this moment.</summary>
    public void WriteFull(long time)
    {
        BeginEvent("i"u8, "trace"u8, 0, time);
        Json.WriteString("s"u8, "g"u8);
        Json.WriteString("name"u8, "trace full"u8);
        Json.WriteStartObject("args"u8);
        EndEvent();
    }

    public void Write(int thread, in TraceRecord record)
    {
        switch (record.Kind)
        {
            case TraceKind.Exit or TraceKind.PortExit or TraceKind.MemoryExit:
                BeginEvent("X"u8, "exit"u8, thread, record.Time);
                WriteName(record.Name.Text, record.Subject.Text);
                Json.WriteNumber("dur"u8, Microseconds((long)record.First));
                Json.WriteStartObject("args"u8);
                WriteAccess(record);
                break;
            case TraceKind.Idle:
                BeginEvent("X"u8, "loop"u8, thread, record.Time);
                Json.WriteString("name"u8, "idle"u8);
                Json.WriteNumber("dur"u8, Microseconds((long)record.First));
                Json.WriteStartObject("args"u8);
                break;
            case TraceKind.Notification:
                BeginEvent("i"u8, "notification"u8, thread, record.Time);
                Json.WriteString("s"u8, "t"u8);
                WriteName("notification"u8, record.Subject.Text);
                Json.WriteStartObject("args"u8);
                break;
            case TraceKind.Interrupt:
                BeginEvent("i"u8, "interrupt"u8, thread, record.Time);
                Json.WriteString("s"u8, "t"u8);
                Json.WriteString("name"u8, record.Name.Text);
                Json.WriteStartObject("args"u8);
                WriteHex("source"u8, record.First);
                WriteHex("value"u8, record.Second);
                break;
            case TraceKind.Submit:
                BeginRequest("b"u8, thread, record);
                Json.WriteNumber("offset"u8, record.Second);
                Json.WriteNumber("length"u8, record.Third);
                break;
            case TraceKind.Complete:
                BeginRequest("e"u8, thread, record);
                Json.WriteNumber("result"u8, (long)record.Second);
                break;
            default:
                throw new UnreachableException();
        }

        EndEvent();
    }

    public void Dispose() => _json?.Dispose();

    private static double Microseconds(long ticks) => Math.Round(ticks * s_nanosecondsPerTick) / 1000;

    private Utf8JsonWriter Open()
    {
        var json = new Utf8JsonWriter(_buffer);
        json.WriteStartObject();
        json.WriteString("displayTimeUnit"u8, "ns"u8);
        json.WriteStartArray("traceEvents"u8);
        _json = json;
        WriteMetadata("process_name"u8, 0, processName);
        return json;
    }

    // By hand: for the writer the array never ends.
    private void WriteTail(long lost)
    {
        _buffer.Write("],\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\",\"start_ns\":"u8);
        WriteDigits((long)(start * s_nanosecondsPerTick));
        _buffer.Write(",\"lost_events\":"u8);
        WriteDigits(lost);
        _buffer.Write("}}\n"u8);
    }

    private void WriteDigits(long value)
    {
        bool fits = value.TryFormat(_buffer.GetSpan(32), out int written);
        Debug.Assert(fits);
        _buffer.Advance(written);
    }

    private void WriteMetadata(ReadOnlySpan<byte> kind, int thread, string name)
    {
        Json.WriteStartObject();
        Json.WriteString("ph"u8, "M"u8);
        Json.WriteString("name"u8, kind);
        Json.WriteNumber("pid"u8, _process);
        Json.WriteNumber("tid"u8, thread);
        Json.WriteStartObject("args"u8);
        Json.WriteString("name"u8, name);
        EndEvent();
    }

    private void BeginEvent(ReadOnlySpan<byte> phase, ReadOnlySpan<byte> category, int thread, long time)
    {
        Json.WriteStartObject();
        Json.WriteString("ph"u8, phase);
        Json.WriteString("cat"u8, category);
        Json.WriteNumber("pid"u8, _process);
        Json.WriteNumber("tid"u8, thread);
        Json.WriteNumber("ts"u8, Microseconds(time - start));
    }

    /// <summary>Ends the arguments and the event.</summary>
    private void EndEvent()
    {
        Json.WriteEndObject();
        Json.WriteEndObject();
    }

    private void BeginRequest(ReadOnlySpan<byte> phase, int thread, in TraceRecord record)
    {
        BeginEvent(phase, "io"u8, thread, record.Time);
        WriteName(record.Name.Text, record.Subject.Text);
        WriteHex("id"u8, record.First);
        Json.WriteStartObject("args"u8);
    }

    private void WriteAccess(in TraceRecord record)
    {
        if (record.Kind == TraceKind.Exit)
            return;
        WriteHex(record.Kind == TraceKind.PortExit ? "port"u8 : "address"u8, record.Second);
        Json.WriteNumber("bytes"u8, record.Detail & ~TraceRecord.WriteFlag);
        Json.WriteBoolean("write"u8, (record.Detail & TraceRecord.WriteFlag) != 0);
    }

    private void WriteName(ReadOnlySpan<byte> what, ReadOnlySpan<byte> subject)
    {
        Span<byte> text = stackalloc byte[(2 * TraceName.MaxBytes) + 1];
        what.CopyTo(text);
        int length = what.Length;
        if (!subject.IsEmpty)
        {
            text[length++] = (byte)' ';
            subject.CopyTo(text[length..]);
            length += subject.Length;
        }

        Json.WriteString("name"u8, text[..length]);
    }

    private void WriteHex(ReadOnlySpan<byte> key, ulong value)
    {
        Span<byte> text = stackalloc byte[2 + 16];
        "0x"u8.CopyTo(text);
        bool fits = value.TryFormat(text[2..], out int written, "x");
        Debug.Assert(fits);
        Json.WriteString(key, text[..(2 + written)]);
    }
}
